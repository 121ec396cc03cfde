//go:build e2e

package e2e

import "strings"

func goProjects() map[string]generated {
	// Standard layout: programs below cmd, what they share below internal.
	const program = `package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"example.com/shop/internal/greeting"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, greeting.From("NAME")) })
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
`
	return map[string]generated{
		"go-programs": {
			files: map[string]string{
				"go.mod":                        "module example.com/shop\n\ngo 1.24\n\nrequire github.com/google/uuid v1.6.0\n",
				"internal/greeting/greeting.go": "package greeting\n\nimport \"github.com/google/uuid\"\n\n// From is a greeting by a program.\nfunc From(name string) string { return name + \": \" + uuid.NameSpaceDNS.String() }\n",
				"cmd/orders/main.go":            strings.ReplaceAll(program, "NAME", "orders"),
				"cmd/stock/main.go":             strings.ReplaceAll(program, "NAME", "stock"),
			},
			make:  [][]string{{"go", "mod", "tidy"}},
			dir:   "cmd/stock",
			want:  "stock: 6ba7b810-",
			quick: true,
		},
		// https://go.dev/doc/tutorial/call-module-code
		"go-replace": {
			files: map[string]string{
				"greetings/greetings.go": "package greetings\n\nimport \"fmt\"\n\n// Hello greets a person.\nfunc Hello(name string) string { return fmt.Sprintf(\"Hi, %v. Welcome!\", name) }\n",
				"hello/hello.go": `package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"example.com/greetings"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, greetings.Hello("Gladys")) })
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
`,
			},
			make: [][]string{
				{"go", "-C", "greetings", "mod", "init", "example.com/greetings"},
				{"go", "-C", "hello", "mod", "init", "example.com/hello"},
				{"go", "-C", "hello", "mod", "edit", "-replace", "example.com/greetings=../greetings"},
				{"go", "-C", "hello", "mod", "tidy"},
			},
			dir:  "hello",
			want: "Hi, Gladys. Welcome!",
		},
	}
}
