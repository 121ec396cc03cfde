//! Serves the function: the one in `handler.rs`, with the state of `config.rs`.

use actix_web::{App, HttpResponse, HttpServer, web};

mod config;
mod handler;

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".into());
    let port: u16 = port.parse().expect("PORT is a number");
    let config = web::Data::new(config::HandlerConfig::from_env());
    HttpServer::new(move || {
        App::new()
            .app_data(config.clone())
            .route(
                "/health/{_:readiness|liveness}",
                web::get().to(HttpResponse::Ok),
            )
            .default_service(web::to(handler::index))
    })
    // After SIGTERM requests under way finish; how long they may take is the
    // revision's business.
    .shutdown_timeout(24 * 3600)
    .bind(("0.0.0.0", port))?
    .run()
    .await
}
