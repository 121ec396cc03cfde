//go:build e2e

package e2e

import "os"

func pythonProjects() map[string]generated {
	env := []string{"KN_LITE_BASE_IMAGE_PYTHON=" + os.Getenv("KN_LITE_E2E_PYTHON_BASE")}
	return map[string]generated{
		// Poetry's own reader of PyPI wants more than the index; as a source it is read
		// as every index. Newer Djangos want a newer Python than the base's.
		"django-poetry": {
			env: env,
			make: [][]string{
				{"poetry", "init", "--no-interaction", "--name", "shop", "--python", ">=3.11"},
				{"poetry", "source", "add", "--priority=primary", "simple", "https://pypi.org/simple/"},
				{"poetry", "add", "--lock", "django~5.2", "gunicorn"},
				{"django-admin", "startproject", "mysite", "."},
			},
			// A new project answers to localhost only, and says so.
			code: 400, want: "Invalid HTTP_HOST header",
		},
		// https://flask.palletsprojects.com/en/stable/tutorial/
		"flask-factory": {
			env: env,
			files: map[string]string{
				"flaskr/__init__.py": `import os

from flask import Flask


def create_app(test_config=None):
    app = Flask(__name__, instance_relative_config=True)
    app.config.from_mapping(SECRET_KEY="dev", DATABASE=os.path.join(app.instance_path, "flaskr.sqlite"))
    if test_config is None:
        app.config.from_pyfile("config.py", silent=True)
    else:
        app.config.from_mapping(test_config)
    try:
        os.makedirs(app.instance_path)
    except OSError:
        pass

    @app.route("/hello")
    def hello():
        return "Hello, World!"

    return app
`,
				"pyproject.toml": "[project]\nname = \"flaskr\"\nversion = \"1.0.0\"\ndependencies = [\n    \"flask\",\n]\n\n[build-system]\nrequires = [\"flit_core<4\"]\nbuild-backend = \"flit_core.buildapi\"\n",
			},
			path: "hello", want: "Hello, World!",
		},
		// https://docs.astral.sh/uv/guides/integration/fastapi/
		"fastapi-uv": {
			env: env,
			files: map[string]string{
				"app/__init__.py": "",
				"app/main.py":     "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get(\"/\")\nasync def root():\n    return {\"message\": \"hello from fastapi\"}\n",
			},
			make: [][]string{{"uv", "init", "--app", "--name", "api", "."}, {"uv", "add", "fastapi", "--extra", "standard"}},
			want: "hello from fastapi",
		},
	}
}
