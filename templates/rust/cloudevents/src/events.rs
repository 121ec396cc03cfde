//! Turns requests into events and events into responses, as the CloudEvents SDK
//! does it: binary or structured mode in, binary mode out.

use actix_web::{
    Error, HttpRequest, HttpResponse, HttpResponseBuilder,
    error::{ErrorBadRequest, ErrorInternalServerError},
    web,
};
use cloudevents::binding::http_0_2::{Builder, Serializer, to_event};
use cloudevents::message::{BinaryDeserializer, Result as MessageResult};
use http::{HeaderMap, header::HeaderValue};

use crate::{config::HandlerConfig, handler};

/// Answers a POST: 400 for what is no event.
pub async fn serve(
    req: HttpRequest,
    body: web::Bytes,
    config: web::Data<HandlerConfig>,
) -> Result<HttpResponse, Error> {
    let headers: HeaderMap = req
        .headers()
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let event = to_event(&headers, body.to_vec())
        .map_err(|error| ErrorBadRequest(format!("not a CloudEvent: {error}\n")))?;
    let answer = handler::handle(event, config).await?;
    BinaryDeserializer::deserialize_binary(answer, Serializer::new(Response(HttpResponse::Ok())))
        .map_err(ErrorInternalServerError)
}

struct Response(HttpResponseBuilder);

impl Builder<HttpResponse> for Response {
    fn header(&mut self, key: &str, value: HeaderValue) {
        self.0.insert_header((key, value));
    }

    fn body(&mut self, bytes: Vec<u8>) -> MessageResult<HttpResponse> {
        Ok(self.0.body(bytes))
    }

    fn finish(&mut self) -> MessageResult<HttpResponse> {
        Ok(self.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{App, body::to_bytes, test};

    /// The status, the type and the data of the answer to a POST.
    async fn post(headers: &[(&str, &str)], body: &'static str) -> (u16, String, String) {
        let config = web::Data::new(HandlerConfig::new("Hello"));
        let app = test::init_service(
            App::new()
                .app_data(config)
                .default_service(web::post().to(serve)),
        )
        .await;
        let mut req = test::TestRequest::post().set_payload(body);
        for header in headers {
            req = req.append_header(*header);
        }
        let answer = test::call_service(&app, req.to_request()).await;
        let kind = answer
            .headers()
            .get("ce-type")
            .map(|v| v.to_str().unwrap().into())
            .unwrap_or_default();
        let status = answer.status().as_u16();
        let data = to_bytes(answer.into_body()).await.unwrap();
        (status, kind, String::from_utf8(data.to_vec()).unwrap())
    }

    #[actix_web::test]
    async fn both_modes() {
        let want = (
            200,
            "function.greeted".into(),
            r#"{"message":"Hello, Ada!"}"#.into(),
        );
        let binary = [
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "/test"),
            ("ce-type", "greet"),
        ];
        assert_eq!(post(&binary, r#"{"name":"Ada"}"#).await, want);
        let structured = [("content-type", "application/cloudevents+json")];
        let event = r#"{"specversion":"1.0","id":"1","source":"/test","type":"greet","data":{"name":"Ada"}}"#;
        assert_eq!(post(&structured, event).await, want);
    }

    #[actix_web::test]
    async fn no_event() {
        assert_eq!(post(&[], "no event").await.0, 400);
    }
}
