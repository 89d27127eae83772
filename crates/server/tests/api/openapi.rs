//! The description of the API is the one that the repository holds.

use serde_json::Value;

use crate::bench::Bench;

/// Set, it writes the file.
const UPDATE: &str = "KEEPWATCH_UPDATE_OPENAPI";

#[tokio::test(flavor = "multi_thread")]
async fn the_description_in_the_repository_is_that_of_the_code() {
    let bench = Bench::start().await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let now = format!(
        "{}\n",
        serde_json::to_string_pretty(&bench.openapi).unwrap()
    );
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap();
    assert!(
        there == now,
        "docs/openapi.json is not that of the code: {UPDATE}=1 writes it anew"
    );
    let served: Value = bench
        .get("/api/v1/openapi.json")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(served, bench.openapi);
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[test]
fn what_the_pages_say_is_described_is() {
    let read = |name: &str| {
        std::fs::read_to_string(format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR")))
            .unwrap()
    };
    let openapi: Value = serde_json::from_str(&read("openapi.json")).unwrap();
    let api = read("API.md");
    let mut missing = Vec::new();
    for path in openapi["paths"].as_object().unwrap().keys() {
        let named = api.contains(&format!(" {path}`")) || api.contains(&format!(" {path}?"));
        // The lists of plates are told as one.
        if !named && !path.starts_with("/api/v1/plates/{list}") {
            missing.push(path);
        }
    }
    assert!(
        missing.is_empty(),
        "docs/API.md does not tell of {missing:?}"
    );
}
