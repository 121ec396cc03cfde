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
