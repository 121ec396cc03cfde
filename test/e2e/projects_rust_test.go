//go:build e2e

package e2e

func rustProjects() map[string]generated {
	// It listens where axum's own first example does.
	const program = `use axum::{routing::get, Router};

#[tokio::main]
async fn main() {
    let app = Router::new().route("/", get(|| async { "Hello, World!" }));
    let listener = tokio::net::TcpListener::bind("0.0.0.0:3000").await.unwrap();
    axum::serve(listener, app).await.unwrap();
}
`
	return map[string]generated{
		"axum": {
			files: map[string]string{"src/main.rs": program},
			make: [][]string{
				{"cargo", "init", "--vcs", "none", "--name", "hello"},
				{"cargo", "add", "axum"},
				{"cargo", "add", "tokio", "--features", "rt-multi-thread,macros,net"},
				{"cargo", "generate-lockfile"},
			},
			deploy: []string{"--port", "3000"},
			want:   "Hello, World!",
		},
		// https://doc.rust-lang.org/book/ch14-03-cargo-workspaces.html, with a server as its program
		"cargo-workspace": {
			files: map[string]string{
				"Cargo.toml":         "[workspace]\nresolver = \"3\"\nmembers = [\"adder\", \"add_one\"]\n",
				"add_one/Cargo.toml": "[package]\nname = \"add_one\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
				"add_one/src/lib.rs": "pub fn add_one(x: i32) -> i32 {\n    x + 1\n}\n",
				"adder/Cargo.toml":   "[package]\nname = \"adder\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\nadd_one = { path = \"../add_one\" }\n",
				"adder/src/main.rs": `use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

fn main() {
    let port = std::env::var("PORT").unwrap_or("8080".into());
    for stream in TcpListener::bind(format!("0.0.0.0:{port}")).unwrap().incoming() {
        let mut stream = stream.unwrap();
        std::thread::spawn(move || {
            let head = BufReader::new(stream.try_clone().unwrap());
            head.lines().map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            let body = format!("10 plus one is {}!", add_one::add_one(10));
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        });
    }
}
`,
			},
			make: [][]string{{"cargo", "generate-lockfile"}},
			want: "10 plus one is 11!",
		},
	}
}
