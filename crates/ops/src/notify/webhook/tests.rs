//! What is sent, byte by byte, of what hostile jobs are called.

#![allow(clippy::unwrap_used)] // A test may panic.

use super::*;

const HOSTILE: &str =
    "<!channel> @everyone **b** [l](https://evil.example) \u{202e}txt\0\r\n{{key}}";

fn told() -> Notification {
    Notification {
        severity: Severity::Failure,
        job: HOSTILE.to_owned(),
        title: HOSTILE.to_owned(),
        text: HOSTILE.repeat(300),
        facts: (0..40)
            .map(|n| (format!("{n}{HOSTILE}"), HOSTILE.repeat(90)))
            .collect(),
        time: "2026-03-01T02:03:04Z".parse().unwrap(),
        key: "the key".to_owned(),
    }
    .bounded()
}

fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, found)),
        Value::Object(values) => values.values().for_each(|value| strings(value, found)),
        _ => {}
    }
}

fn texts(value: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    strings(value, &mut found);
    assert!(
        found
            .iter()
            .all(|text| !text.contains(['\u{202e}', '\0', '\r']))
    );
    found
}

#[test]
fn slack_reads_plain_text_within_its_limits() {
    let body = slack_body(&told());
    assert!(texts(&body).iter().all(|text| !text.contains(['<', '>'])));
    let blocks = body["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    let length = |value: &Value| characters(value["text"].as_str().unwrap());
    assert!(blocks[0]["type"] == "header" && length(&blocks[0]["text"]) <= 150);
    assert!(length(&blocks[1]["text"]) == 3000 && blocks[1]["text"]["type"] == "plain_text");
    for block in &blocks[2..] {
        let fields = block["fields"].as_array().unwrap();
        assert!(
            fields.len() <= 10
                && fields
                    .iter()
                    .all(|field| length(field) <= 2000 && field["type"] == "plain_text")
        );
    }
    assert!(
        body["text"]
            .as_str()
            .unwrap()
            .starts_with("FAILED: &lt;!channel&gt; @everyone")
    );
}

#[test]
fn discord_mentions_nobody_within_its_limits() {
    let body = discord_body(&told());
    assert_eq!(body["allowed_mentions"], json!({"parse": []}));
    let embed = &body["embeds"][0];
    assert!(
        embed["title"]
            .as_str()
            .unwrap()
            .starts_with(r"FAILED\: \<\!channel\> \@everyone \*\*b\*\*")
    );
    let fields = embed["fields"].as_array().unwrap();
    assert!(!fields.is_empty() && fields.len() <= 25);
    let mut total =
        utf16(embed["title"].as_str().unwrap()) + utf16(embed["description"].as_str().unwrap());
    for field in fields {
        let (name, value) = (
            field["name"].as_str().unwrap(),
            field["value"].as_str().unwrap(),
        );
        assert!((1..=256).contains(&utf16(name)) && (1..=1024).contains(&utf16(value)));
        total += utf16(name) + utf16(value);
    }
    assert!(total <= 6000, "{total}");
}

#[test]
fn teams_reads_no_markdown_within_its_limits() {
    let body = teams_body(&told());
    texts(&body);
    assert!(
        body.to_string().len() < 28_000,
        "{}",
        body.to_string().len()
    );
    let card = &body["attachments"][0]["content"];
    for block in card["body"].as_array().unwrap() {
        assert_eq!(block["type"], "RichTextBlock");
        assert!(
            block["inlines"]
                .as_array()
                .unwrap()
                .iter()
                .all(|run| run["type"] == "TextRun")
        );
    }
}

fn webhook(template: Option<&str>) -> Result<Webhook, NotifyError> {
    let settings = WebhookSettings {
        url: SecretText::new("https://example.org".to_owned()),
        from: Severity::Warning,
        allow_private: false,
        template: template.map(str::to_owned),
        secret: None,
        headers: BTreeMap::new(),
    };
    let network = Network {
        roots: crate::notify::Roots::system(),
        timeout: std::time::Duration::from_secs(1),
    };
    Webhook::new(&settings, &network)
}

#[test]
fn a_template_is_json_whatever_is_put_in() {
    let mut told = told();
    told.text = "\"},{\"a\":\"{{job}} \\".to_owned();
    told.facts = vec![("size".to_owned(), "1 \"GB\"".to_owned())];
    let template = r#"{"m":"{{severity}}/{{ text }}/{{fact:size}}{{fact:none}}","n":[1,"{{key}}"],"{{key}}":"{{other}} {{"}"#;
    let body: Value = serde_json::from_str(&webhook(Some(template)).unwrap().body(&told)).unwrap();
    let expected = json!({
        "m": "failure/\"},{\"a\":\"{{job}} \\/1 \"GB\"",
        "n": [1, "the key"],
        "{{key}}": "{{other}} {{",
    });
    assert_eq!(body, expected);
    let refused = webhook(Some("{{text}}")).unwrap_err();
    assert_eq!(refused.to_string(), "template: it is no JSON");
}

#[test]
fn without_a_template_all_of_it_is_sent() {
    let mut told = told();
    told.text = "text".to_owned();
    told.facts = vec![("size".to_owned(), "1 GB".to_owned())];
    let body: Value = serde_json::from_str(&webhook(None).unwrap().body(&told)).unwrap();
    assert_eq!(body["severity"], "failure");
    assert_eq!(body["time"], "2026-03-01T02:03:04Z");
    assert_eq!(body["facts"], json!({"size": "1 GB"}));
}

/// By Python: `hmac.new(b"0123456789abcdef-key", b'1700000000.{"text":"hello"}', "sha256")`.
#[test]
fn the_signature_is_that_of_another_implementation() {
    let secret = SecretText::new("0123456789abcdef-key".to_owned());
    assert_eq!(
        signature(&secret, "1700000000", r#"{"text":"hello"}"#),
        "sha256=03cd8d681495dfbadeda3c3e17f09f64e9992ae616605d64002cd1fbafd870b0"
    );
}
