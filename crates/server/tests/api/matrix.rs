//! Every route with every credential: who is let in is what the description says, and nothing else.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::bench::Bench;

/// Routes for anybody. Whoever adds one has to say so here.
const OPEN: [&str; 7] = [
    "GET /",
    "GET /api/v1/setup",
    "GET /health",
    "GET /livez",
    "GET /readyz",
    "POST /api/v1/session",
    "POST /api/v1/setup",
];

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Credential {
    None,
    Expired,
    Single,
    WrongScope,
    Viewer,
    Operator,
    Admin,
}

const ALL: [Credential; 7] = [
    Credential::None,
    Credential::Expired,
    Credential::Single,
    Credential::WrongScope,
    Credential::Viewer,
    Credential::Operator,
    Credential::Admin,
];

/// Roles by permission, as docs/API.md has them: written here once more, so that a slip in the
/// program is one.
fn role_may(credential: Credential, permission: &str) -> bool {
    let viewer = [
        "events:read",
        "cameras:read",
        "faces:read",
        "plates:read",
        "jobs:read",
        "system:read",
    ];
    let operator = ["faces:write", "plates:write", "events:export", "jobs:run"];
    match credential {
        Credential::Viewer => viewer.contains(&permission),
        Credential::Operator => viewer.contains(&permission) || operator.contains(&permission),
        Credential::Admin => true,
        _ => false,
    }
}

/// What is to be answered: the status of who is not let in, or none for who is.
fn refusal(credential: Credential, permission: &str, is_contract: bool) -> Option<StatusCode> {
    match credential {
        Credential::None | Credential::Expired => Some(StatusCode::UNAUTHORIZED),
        Credential::Single if is_contract => None,
        Credential::Single => Some(StatusCode::FORBIDDEN),
        // A token for nothing but exports.
        Credential::WrongScope => (permission != "login" && permission != "events:export")
            .then_some(StatusCode::FORBIDDEN),
        role if permission == "login" || role_may(role, permission) => None,
        _ => Some(StatusCode::FORBIDDEN),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_who_it_says() {
    let bench = Bench::with("[server]\nauth_token = \"securevision-token\"\nrequests_per_second = 100000\nrequests_burst = 100000").await;
    let admin = bench.set_up().await;
    let viewer = admin.user("vera", "viewer", &Value::Null).await;
    let operator = admin.user("otto", "operator", &Value::Null).await;
    let wrong_scope = admin
        .token(&json!({ "name": "w", "permissions": ["events:export"] }))
        .await;
    let expired = admin
        .token(&json!({ "name": "e", "permissions": ["events:read"] }))
        .await;
    let tokens = admin.get("/api/v1/tokens").await;
    let id = tokens["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .find(|token| token["name"] == "e")
        .unwrap()["id"]
        .clone();
    let gone = admin
        .status(
            Method::DELETE,
            &format!("/api/v1/tokens/{}", id.as_str().unwrap()),
        )
        .await;
    assert_eq!(gone, StatusCode::NO_CONTENT);
    let request = |credential: Credential, method: &Method, path: &str| -> RequestBuilder {
        let plain = || bench.ask(method.clone(), path);
        match credential {
            Credential::None => plain(),
            Credential::Expired => plain().bearer_auth(&expired),
            Credential::Single => plain().bearer_auth("securevision-token"),
            Credential::WrongScope => plain().bearer_auth(&wrong_scope),
            Credential::Viewer => viewer.ask(method.clone(), path),
            Credential::Operator => operator.ask(method.clone(), path),
            Credential::Admin => admin.ask(method.clone(), path),
        }
    };
    let mut counts: BTreeMap<(Credential, &str), u32> = BTreeMap::new();
    let mut open = Vec::new();
    for (path, item) in bench.openapi["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let name = format!("{method} {path}");
            let Some(permission) = operation["x-permission"].as_str() else {
                open.push(name);
                continue;
            };
            if name == "DELETE /api/v1/session" {
                // It would end the sessions that the others need; what guards it is what guards all.
                continue;
            }
            let is_contract = operation["tags"][0] == "SecureVision";
            // Nothing that is there is named, so that nothing changes.
            let real = path.replace("{list}", "allow").replace("{index}", "0");
            let real = match is_contract {
                true => real.replace("{id}", "999999"),
                false => real.replace("{id}", "00000000-0000-7000-8000-000000000000"),
            };
            let real = real
                .replace("{name}", "nobody")
                .replace("{plate}", "XX0000");
            for credential in ALL {
                let answer = request(credential, &method, &real).send().await.unwrap();
                let status = answer.status();
                match refusal(credential, permission, is_contract) {
                    Some(refused) => {
                        assert_eq!(status, refused, "{credential:?} {name}");
                        *counts.entry((credential, "refused")).or_default() += 1;
                    }
                    None => {
                        assert_ne!(status, StatusCode::UNAUTHORIZED, "{credential:?} {name}");
                        // Some of one's own account needs a session.
                        let session = permission == "login" && credential == Credential::WrongScope;
                        assert!(
                            session || status != StatusCode::FORBIDDEN,
                            "{credential:?} {name}"
                        );
                        assert!(
                            !status.is_server_error() || status == StatusCode::NOT_IMPLEMENTED,
                            "{credential:?} {name}: {status}"
                        );
                        *counts.entry((credential, "let in")).or_default() += 1;
                    }
                }
            }
        }
    }
    open.sort_unstable();
    assert_eq!(open, OPEN);
    let mut all = 0;
    for ((credential, what), count) in counts {
        println!("{credential:?}: {count} {what}");
        all += count;
    }
    println!("{all} in all");
    assert!(all > 300, "{all}");
}
