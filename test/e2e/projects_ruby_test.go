//go:build e2e

package e2e

import "os"

func rubyProjects() map[string]generated {
	return map[string]generated{
		// The gems are Debian's, where the application is made and in the image. A new
		// application has no page of its own in production, but files.
		"rails": {
			files: map[string]string{"settings.yaml": "mirrors:\n  docker.io: [" + os.Getenv("KN_LITE_E2E_RUBY_MIRROR") + "]\n"},
			env:   []string{"KN_LITE_CONFIG=../settings.yaml"},
			make: [][]string{
				{"rails", "new", "shop", "--minimal", "--api", "--skip-active-record", "--skip-bundle", "--skip-git"},
				{"env", "BUNDLE_GEMFILE=shop/Gemfile", "bundle", "lock", "--local"},
			},
			dir: "shop", writes: []string{"shop/Dockerfile", "shop/.dockerignore"},
			deploy: []string{"--env", "SECRET_KEY_BASE=of-a-test"},
			path:   "robots.txt", want: "robotstxt.org",
		},
	}
}
