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
		"node-next": {
			make: [][]string{{"npx", "create-next-app@14", "shop", "--ts", "--app", "--eslint", "--no-tailwind", "--src-dir", "--import-alias", "@/*", "--use-npm"}},
			dir:  "shop",
			want: "Create Next App",
		},
	}
}
