//! What lives as long as the process: settings, clients, caches.

/// All requests share one, so guard what changes in it.
pub struct HandlerConfig {
    pub greeting: String,
}

impl HandlerConfig {
    /// Called once, when the process starts.
    pub fn from_env() -> Self {
        let greeting = std::env::var("GREETING").unwrap_or_default();
        Self::new(&greeting)
    }

    pub fn new(greeting: &str) -> Self {
        let greeting = if greeting.is_empty() {
            "Hello"
        } else {
            greeting
        };
        Self {
            greeting: greeting.into(),
        }
    }
}
