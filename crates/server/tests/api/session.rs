//! Logging in, and what keeps others out.

use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bench::{Bench, PASSWORD};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_user_is_made_with_the_code_that_was_printed() {
    let bench = Bench::start().await;
    let needed: Value = bench.get("/api/v1/setup").await.json().await.unwrap();
    assert_eq!(needed, json!({ "needed": true }));
    let wrong = json!({ "code": "AAAA-AAAA-AAAA-AAAA", "user": "eve", "password": PASSWORD });
    let answer = bench
        .ask(Method::POST, "/api/v1/setup")
        .json(&wrong)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let ada = bench.set_up().await;
    assert_eq!(ada.about["role"], "admin");
    let needed: Value = bench.get("/api/v1/setup").await.json().await.unwrap();
    assert_eq!(needed, json!({ "needed": false }));
    let actions = ada.get("/api/v1/audit").await;
    assert_eq!(actions["entries"][0]["action"], "setup");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_for_nobody_else_and_needs_the_header() {
    let bench = Bench::start().await;
    let body = json!({ "code": bench.setup_code(), "user": "ada", "password": PASSWORD });
    let answer = bench
        .ask(Method::POST, "/api/v1/setup")
        .json(&body)
        .send()
        .await
        .unwrap();
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let ada = bench.log_in("ada").await;
    let without = bench
        .ask(Method::POST, "/api/v1/ticket")
        .header(COOKIE, &ada.cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(without.status(), StatusCode::FORBIDDEN);
    let elsewhere = ada
        .ask(Method::POST, "/api/v1/ticket")
        .header(ORIGIN, "https://evil.example");
    assert_eq!(
        elsewhere.send().await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    let own = format!("http://{}", bench.address);
    let here = ada.ask(Method::POST, "/api/v1/ticket").header(ORIGIN, own);
    assert_eq!(here.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_waits() {
    let bench = Bench::start().await;
    let ada = bench.set_up().await;
    let guess = json!({ "user": "ada", "password": "wrong wrong wrong" });
    for _ in 0..5 {
        let answer = bench
            .ask(Method::POST, "/api/v1/session")
            .json(&guess)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    let answer = bench
        .ask(Method::POST, "/api/v1/session")
        .json(&guess)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = answer.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=2).contains(&wait));
    // Who is logged in stays so.
    assert_eq!(ada.get("/api/v1/session").await["user"], "ada");
    let failed = ada.get("/api/v1/audit?action=login-failed").await;
    assert_eq!(failed["entries"].as_array().unwrap().len(), 5);
    assert!(!failed.to_string().contains("wrong wrong"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guessed_before_a_restart_waits_after_it() {
    let bench = Bench::start().await;
    bench.set_up().await;
    let (folder, store) = bench.stop().await;
    for _ in 0..12 {
        let detail = json!({ "address": "192.0.2.1" });
        store.audit("ada", "login-failed", detail).unwrap();
    }
    let bench = Bench::on(folder, store, "").await;
    let right = json!({ "user": "ada", "password": PASSWORD });
    let answer = bench
        .ask(Method::POST, "/api/v1/session")
        .json(&right)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_outlive_the_server_and_end_with_logging_out() {
    let bench = Bench::start().await;
    let cookie = bench.set_up().await.cookie;
    let (folder, store) = bench.stop().await;
    let bench = Bench::on(folder, store, "").await;
    let current = || {
        bench
            .ask(Method::GET, "/api/v1/session")
            .header(COOKIE, &cookie)
            .send()
    };
    let about: Value = current().await.unwrap().json().await.unwrap();
    assert_eq!(about["user"], "ada");
    let out = bench
        .ask(Method::DELETE, "/api/v1/session")
        .header(COOKIE, &cookie)
        .header("x-csrf-token", about["csrf"].as_str().unwrap());
    assert_eq!(out.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(current().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_what_it_says_and_no_more() {
    let bench = Bench::start().await;
    let ada = bench.set_up().await;
    let body = json!({ "name": "script", "permissions": ["events:read"], "cameras": ["front"] });
    let token = ada.token(&body).await;
    assert!(token.starts_with("kw_"));
    let status = |path: &str| {
        let request = bench.ask(Method::GET, path).bearer_auth(&token);
        async { request.send().await.unwrap().status() }
    };
    assert_eq!(status("/api/v1/events").await, StatusCode::OK);
    assert_eq!(status("/events").await, StatusCode::OK);
    assert_eq!(status("/api/v1/users").await, StatusCode::FORBIDDEN);
    // What nobody has shown again: neither the list nor the log.
    let shown = format!(
        "{}{}",
        ada.get("/api/v1/tokens").await,
        ada.get("/api/v1/audit").await
    );
    assert!(!shown.contains(&token[3..]));
    let id = ada.get("/api/v1/tokens").await["tokens"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        ada.status(Method::DELETE, &format!("/api/v1/tokens/{id}"))
            .await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(status("/api/v1/events").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_authentication_only_this_machine_is_answered() {
    let bench = Bench::with("[server]\nauthentication = \"none\"").await;
    assert_eq!(bench.get("/api/v1/events").await.status(), StatusCode::OK);
    assert_eq!(bench.get("/events").await.status(), StatusCode::OK);
    // A name that a page elsewhere has given this address.
    let rebound = bench
        .ask(Method::GET, "/events")
        .header("host", "evil.example:8000");
    assert_eq!(
        rebound.send().await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_keeps_browsers_safe_and_has_a_number() {
    let bench = Bench::start().await;
    for path in ["/", "/ui/", "/no/such/page", "/api/v1/events", "/health"] {
        let answer = bench.get(path).await;
        let headers = answer.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert!(
            headers["content-security-policy"]
                .to_str()
                .unwrap()
                .starts_with("default-src 'none'")
        );
        assert_eq!(headers["x-request-id"].len(), 16);
        assert!(headers.contains_key("cache-control"));
        assert!(!headers.contains_key("server"));
    }
}
