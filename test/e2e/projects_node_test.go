//go:build e2e

package e2e

// nodeProjects are made by generators of the time of Node 18, which is what the base
// image of the tests has.
func nodeProjects() map[string]generated {
	return map[string]generated{
		"node-express": {
			make:  [][]string{{"npx", "express-generator@4", "--view=pug", "shop"}, {"npm", "install", "--prefix", "shop", "--package-lock-only"}},
			dir:   "shop",
			want:  "Welcome to Express",
			quick: true,
		},
		"node-nest": {
			make: [][]string{{"npx", "@nestjs/cli@10", "new", "shop", "--package-manager", "npm", "--skip-git"}},
			dir:  "shop",
			want: "Hello World!",
		},
		"node-pnpm": {
			// https://pnpm.io/workspaces
			files: map[string]string{
				"pnpm-workspace.yaml":        "packages:\n  - packages/*\n",
				"package.json":               `{"name": "shop", "private": true}`,
				"packages/lib/package.json":  `{"name": "@shop/lib", "version": "1.0.0", "main": "dist/index.js", "scripts": {"build": "tsc"}, "devDependencies": {"typescript": "^5.4.0"}}`,
				"packages/lib/tsconfig.json": `{"compilerOptions": {"outDir": "dist", "rootDir": "src", "module": "commonjs", "target": "es2022", "declaration": true, "strict": true}}`,
				"packages/lib/src/index.ts":  "export const greet = (name: string): string => `Hello, ${name}!`;\n",
				"packages/app/package.json":  `{"name": "@shop/app", "version": "1.0.0", "scripts": {"start": "node index.js"}, "dependencies": {"@shop/lib": "workspace:*", "express": "^4.21.0"}}`,
				"packages/app/index.js":      "const { greet } = require('@shop/lib');\nconst app = require('express')();\n\napp.get('/', (req, res) => res.send(greet(req.query.name || 'pnpm')));\napp.listen(process.env.PORT || 3000);\n",
			},
			make: [][]string{{"pnpm", "install", "--lockfile-only"}},
			dir:  "packages/app",
			want: "Hello, pnpm!",
		},
		"node-vite": {
			make: [][]string{{"npx", "create-vite@5", "shop", "--template", "react-ts"}, {"npm", "install", "--prefix", "shop", "--package-lock-only"}},
			dir:  "shop",
			// Its routes are found in the browser.
			path: "/orders/7",
			want: "<title>Vite + React + TS</title>",
		},
		"node-next": {
			make: [][]string{{"npx", "create-next-app@14", "shop", "--ts", "--app", "--eslint", "--no-tailwind", "--src-dir", "--import-alias", "@/*", "--use-npm"}},
			dir:  "shop",
			want: "Create Next App",
		},
	}
}
