package secret

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// verdict is what becomes of a file.
func verdict(name, content string) string {
	class, _ := NewNames().Classify(name, false)
	return Inspect(class, []byte(content))
}

// What everybody could read who can pull the image.
func TestSecretsAreFound(t *testing.T) {
	key := pemKey(t)
	password := "DB_HOST=db\nDB_PASSWORD=gC4kq-7zzw\n"
	for content, names := range map[string][]string{
		// The name is enough, in any case and as a backup.
		"canary": {
			".env", ".ENV", "config/.env", ".Env.Local", ".env~", ".env.bak", "..env.swp", ".env.old", ".env.save", "src/.env.local", ".env.production.local", ".dev.vars",
			"id_rsa", "ID_RSA", "keys/id_ed25519", "id_ecdsa_sk", "id_dsa", "id_rsa.bak", "id_rsa_work", "putty.ppk", "vault.kdbx", "db.kdb", "krb5.keytab", "client.ovpn", "wg0.conf", "wg1.conf", "signing.pvk", ".erlang.cookie",
			".aws/credentials", ".aws/config", "home/.aws/sso/cache/x.json", "aws/credentials", ".azure/accessTokens.json", ".config/gcloud/credentials.db", ".oci/config", ".aliyun/config.json", ".gcloud/x",
			"service-account.json", "service-account-prod.json", "service_account.json", "serviceAccountKey.json", "gcp-key.json", "application_default_credentials.json", "client_secret.json", "client_secret_12.apps.googleusercontent.com.json",
			"shop-firebase-adminsdk-1a2b.json", "rootkey.csv", "ada_accessKeys.csv", "app.publishsettings", ".s3cfg", ".boto", "rclone.conf", ".databrickscfg",
			".docker/config.json", ".dockercfg", ".dockerconfigjson", "kubeconfig", "KUBECONFIG", "prod.kubeconfig", ".kube/config", ".kube/cache/x", "k3s.yaml", ".config/gh/hosts.yml",
			"terraform.tfstate", "terraform.tfstate.backup", "terraform.tfvars", "prod.auto.tfvars", "prod.auto.tfvars.json", ".terraform/x", ".terraformrc", "credentials.tfrc.json", ".terraform.d/credentials.tfrc.json",
			".vault-token", ".vault-pass", ".vault_pass.txt", ".pulumi/credentials.json", ".pypirc", ".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".m2/settings.xml", ".m2/settings-security.xml", ".composer/auth.json",
			"secrets.yml", "secrets.yaml", "config/secrets.json", "secrets.toml", ".secrets", ".secrets/x", ".huggingface/token", ".netrc", "_netrc", ".git-credentials", ".htpasswd", ".pgpass", ".my.cnf", ".mylogin.cnf", ".msmtprc",
			".bash_history", ".zsh_history", ".python_history", ".psql_history", ".mysql_history", ".node_repl_history", ".lesshst", ".ssh/known_hosts", ".gnupg/trustdb.gpg", "sitemanager.xml",
			// What cannot be judged stays out too.
			"server.key", "SERVER.KEY", "server.key.bak", "server.pem", "SERVER.PEM", "key.der", "AuthKey_123.p8", "store.p12", "store.pfx", "app.jks", "debug.keystore", "github_rsa", "deploy_key", "config/master.key",
			"credentials", "password.txt", "passwords.txt", "token.txt", ".npmrc", ".pnpmrc", "my-kubeconfig.yaml", ".sentryclirc", "local.settings.json", "auth.json", "admin.conf", "gradle.properties", "nuget.config",
		},
		key:      {"server.pem", "tls.key", "tls.crt", "privkey1.pem", "cert.pem", "deploy-key", "AuthKey.p8", "keys.txt", ".env.production", ".env.example", "client.asc"},
		password: {"prod.env", "app.env", ".env.production", ".env.staging", ".env-prod", ".env_prod", ".envrc", "admin.conf", "gradle.properties", "credentials.ini"},
		"//registry.npmjs.org/:_authToken=npm_" + strings.Repeat("a1B2", 9) + "\n":                                                                        {".npmrc", ".pnpmrc"},
		"//npm.example.com/:_password=c2VjcmV0\n":                                                                                                         {".npmrc"},
		"//npm.example.com/:_auth=\"YWRhOmM0a3EtN3p6dw==\"\n":                                                                                             {".npmrc"},
		"\"//npm.example.com/:_authToken\" \"0f8b4c1d2e3f\"\n":                                                                                            {".yarnrc"},
		"npmRegistries:\n  //npm.example.com:\n    npmAuthToken: \"0f8b4c1d\"\n":                                                                          {".yarnrc.yml"},
		"[global]\nindex-url = https://ada:gC4kq7zzw@pypi.example.com/simple\n":                                                                           {"pip.conf", "pip.ini"},
		"[install.scopes]\nmine = { token = \"gC4kq7zzw\" }\ntoken = \"gC4kq7zzw\"":                                                                       {".bunfig.toml"},
		"---\nBUNDLE_GEMS__EXAMPLE__COM__TOKEN: \"gC4kq7zzw\"\n":                                                                                          {".bundle/config"},
		`{"auths":{"reg.example":{"auth":"YWRhOmM0a3EtN3p6dw=="}}}`:                                                                                       {"auth.json", "dockerconfig.json"},
		`{"github-oauth":{"github.com":"ghp_` + strings.Repeat("a1B2", 9) + `"}}`:                                                                         {"auth.json"},
		"users:\n- name: a\n  user:\n    client-key-data: LS0tLS1CRUdJTiBSU0E=\n":                                                                         {"admin.conf", "kubeconfig-prod.yaml"},
		"users:\n- name: a\n  user:\n    token: gC4kq7zzw\n":                                                                                              {"admin.conf", "eks-kubeconfig.yml"},
		"DATABASE_URL=postgres://ada:gC4kq7zzw@db.example.com/shop\n":                                                                                     {".env.production", "prod.env"},
		"<configuration><packageSourceCredentials><x><add key=\"ClearTextPassword\" value=\"gC4kq7zzw\"/></x></packageSourceCredentials></configuration>": {"nuget.config", "NuGet.Config"},
		"<settings><servers><server><password>gC4kq7zzw</password></server></servers></settings>":                                                         {"settings.xml"},
		"systemProp.https.proxyPassword=gC4kq7zzw\n":                                                                                                      {"gradle.properties"},
		"token: ghp_" + strings.Repeat("a1B2", 9) + "\n":                                                                                                  {".env.example", "secret.yaml", "credentials.yaml"},
		"# created: 2026\nAGE-SECRET-KEY-1" + strings.Repeat("QPZRY9X8GF", 6) + "\n":                                                                      {"keys.txt", "backup.agekey"},
		"export AWS_ACCESS_KEY_ID=AKIA" + strings.Repeat("ABCD", 4) + "\n":                                                                                {".envrc", "dev.env"},
		"{\"Values\":{\"AzureWebJobsStorage\":\"AccountKey=" + strings.Repeat("ab1/", 21) + "==\"}}":                                                      {"local.settings.json"},
	} {
		for _, name := range names {
			if verdict(name, content) == "" {
				t.Errorf("%s goes into the image with %q", name, content[:min(len(content), 60)])
			}
		}
	}
}

// What has to stay as docker build would have it.
func TestOrdinaryFilesGoIn(t *testing.T) {
	certificate := pemCertificate(t)
	der, _ := pem.Decode([]byte(certificate))
	for content, names := range map[string][]string{
		"export const key = 1\n": {"credentials.ts", "secrets.py", "src/auth.json.js", "kubeconfig.go", "token.go", "id_rsa.pub", "docs/kubeconfig.md", "passwords.sql", "main.c", "index.js", "tokens.css", "keys.js", "public/env.js", "env", "environment.yml", ".editorconfig", "known_hosts.md"},
		certificate:              {"certs/ca-bundle.pem", "ca.pem", "server.crt", "chain.cer", "site.key"},
		"Some header\n\n" + certificate + "\nMore words: here\n" + certificate: {"cacert.pem", "ca-bundle.crt"},
		string(der.Bytes): {"ca.der", "ca.cer"},
		"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n": {"jwt.pem", "cosign.key"},
		"": {".npmrc", ".env.production", "app.env", ".envrc"},
		"NODE_ENV=production\nVITE_API_URL=https://api.example.com\nNEXT_PUBLIC_TOKEN=abcdef0123\nPORT=80 # for all\n": {".env.production", ".env.development", ".env.test", "prod.env"},
		"DB_PASSWORD=changeme\nAPI_KEY=your-key-here\nSECRET=\nTOKEN=<token>\n":                                        {".env.example", ".env.sample", ".env.template", ".env.dist", ".env.defaults", "example.env", ".env.production", "sample.env"},
		"DB_PASSWORD=secret\n": {".env.example", "sample.env.example"},
		"registry=https://registry.npmjs.org/\nsave-exact=true\n//npm.example.com/:_authToken=${NPM_TOKEN}\nalways-auth=true\n":              {".npmrc", ".pnpmrc"},
		"registry \"https://registry.yarnpkg.com\"\nyarn-path \".yarn/releases/yarn.cjs\"\n--install.silent true\n":                          {".yarnrc"},
		"nodeLinker: node-modules\nyarnPath: .yarn/releases/yarn.cjs\nplugins:\n  - path: a\n    spec: b\n":                                  {".yarnrc.yml"},
		"[global]\nindex-url = https://pypi.example.com/simple\ntimeout = 60\n":                                                              {"pip.conf", "pip.ini"},
		"org.gradle.jvmargs=-Xmx2g\nandroid.useAndroidX=true\n":                                                                              {"gradle.properties"},
		"<configuration><packageSources><add key=\"nuget\" value=\"https://api.nuget.org/v3/index.json\"/></packageSources></configuration>": {"nuget.config"},
		"{\"login\":\"Log in\",\"password\":\"Your password\",\"forgot\":\"Reset it\"}":                                                      {"auth.json", "locales/en/auth.json"},
		"DB_PASSWORD_FILE=/run/secrets/db\nSESSION_SECRET=vault:kv/shop#session\nTOKEN_URL=https://x.example/t\nPWD=/app\n":                  {".env.production"},
		"server {\n listen 80;\n}\n":                                 {"admin.conf"},
		"<VirtualHost *:80>\nServerName a.example\n</VirtualHost>\n": {"admin.conf"},
		"x": {".docker/nginx.conf", ".config/nvim/init", "test.txt", "data.json", "config.json", "app.yaml", "keys.txt"},
	} {
		for _, name := range names {
			if what := verdict(name, content); what != "" {
				t.Errorf("%s stays out: %s", name, what)
			}
		}
	}
}

func TestFolders(t *testing.T) {
	n := NewNames()
	for name, want := range map[string]string{
		".aws": ".aws", "a/.SSH": "a/.SSH", ".config/gcloud": ".config/gcloud", ".config": "", "src": "", "secrets": "", ".docker": "", ".github": "",
	} {
		class, at := n.Classify(name, true)
		if (class == Certain) != (want != "") || at != want {
			t.Errorf("%s: %v at %q", name, class, at)
		}
	}
	if class, at := n.Classify("home/.aws/sso/x.json", false); class != Certain || at != "home/.aws" {
		t.Errorf("below a folder: %v at %q", class, at)
	}
}

func TestFixture(t *testing.T) {
	for name, want := range map[string]bool{
		"testdata/server.key": true, "src/test/resources/app.jks": true, "tests/fixtures/key.pem": true, "__fixtures__/a": true, "Examples/a": true,
		"server.key": false, "test.key": false, "latest/a.key": false, "src/a.key": false,
	} {
		if Fixture(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

func pemKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

func pemCertificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
}

// Files that say where packages come from go in unless they say the password, too.
func TestListings(t *testing.T) {
	names := NewNames()
	if class, _ := names.Classify("requirements.txt", false); class != Ordinary {
		t.Errorf("a Dockerfile needs requirements.txt: %v", class)
	}
	names.AddListings()
	for _, name := range []string{"requirements.txt", "requirements-dev.txt", "deep/requirements.txt", "dev-requirements.txt", "Pipfile.lock", "package-lock.json", "uv.lock"} {
		class, _ := names.Classify(name, false)
		for content, want := range map[string]string{
			"--index-url https://ada:k3yW0rd@pypi.corp.example/simple\nwords==1.0\n":       "a URL with a password",
			`{"resolved": "https://ada:k3yW0rd@npm.corp.example/words/-/words-1.0.0.tgz"}`: "a URL with a password",
			"words @ git+https://ada:k3yW0rd@git.corp.example/words\n":                     "a URL with a password",
			"--index-url https://ada:${PASSWORD}@pypi.corp.example/simple\n":               "",
			"--index-url https://pypi.corp.example/simple\nwords==1.0 # ada:k3yW0rd@x\n":   "",
			`{"resolved": "https://registry.npmjs.org/@scope/words/-/words-1.0.0.tgz"}`:    "",
			"git+ssh://git@github.com/x/y":                                                 "",
		} {
			if got := Inspect(class, []byte(content)); got != want {
				t.Errorf("%s with %q: %q, want %q", name, content, got, want)
			}
		}
	}
}
