//! Answers HTTP requests.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use crate::config::HandlerConfig;

/// What may stand behind the question mark.
#[derive(Deserialize)]
struct Query {
    name: Option<String>,
}

/// Called for each request, with any method and any path.
pub async fn index(req: HttpRequest, config: web::Data<HandlerConfig>) -> HttpResponse {
    let name = match web::Query::<Query>::from_query(req.query_string()) {
        Ok(query) => query.into_inner().name.unwrap_or_else(|| "World".into()),
        Err(error) => return HttpResponse::BadRequest().body(format!("{error}\n")),
    };
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body(format!("{}, {name}!\n", config.greeting))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{body::to_bytes, test::TestRequest};

    async fn ask(greeting: &str, uri: &str) -> (u16, String) {
        let config = web::Data::new(HandlerConfig::new(greeting));
        let answer = index(TestRequest::with_uri(uri).to_http_request(), config).await;
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body()).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[actix_web::test]
    async fn greets() {
        assert_eq!(ask("", "/").await, (200, "Hello, World!\n".into()));
        assert_eq!(
            ask("Hello", "/?name=Ada").await,
            (200, "Hello, Ada!\n".into())
        );
        assert_eq!(
            ask("Moin", "/a/path?name=Ada+L.").await,
            (200, "Moin, Ada L.!\n".into())
        );
    }
}
