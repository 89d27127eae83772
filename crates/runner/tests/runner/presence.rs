//! What a broker hears of a scheduler.

use keepwatch_testkit::mosquitto::{Broker, Ear, PASSWORD, USER};
use serde_json::{Value, json};

use crate::schedules::{AT, Serving};
use crate::world::World;

const AVAILABILITY: &str = "keepwatch/host1/run/availability";

fn target(broker: &Broker) -> String {
    format!(
        "kind = \"mqtt\"\nhost = \"127.0.0.1\"\nport = {}\ntls = false\nallow_private = true\n\
         user = \"{USER}\"\npassword = \"{PASSWORD}\"\ninstance = \"host1\"\n",
        broker.port
    )
}

fn next(ear: &mut Ear, end: &str) -> Value {
    let topic = format!("keepwatch/host1/jobs_running/{end}");
    let text = ear.find(&topic, |_| true).text();
    serde_json::from_str(&text).unwrap_or(json!(text))
}

#[test]
fn a_broker_hears_that_jobs_run_and_that_nobody_would_run_them() {
    let (told, deaf) = (Broker::start(), Broker::start());
    let world = World::new();
    world.init("disk");
    // One of the two is not to hear of this job.
    let config = format!(
        "[notify.home]\n{}[notify.other]\n{}{AT}notify = [\"home\"]\n",
        target(&told),
        target(&deaf)
    );
    let (mut ear, mut other) = (told.listen("#"), deaf.listen("#"));
    let serving = Serving::start(world.runner(&config));
    let config = "homeassistant/binary_sensor/host1/jobs_running/config";
    let config: Value = serde_json::from_str(&ear.find(config, |_| true).text()).unwrap();
    assert_eq!(config["device_class"], "running");
    assert_eq!(config["availability_topic"], AVAILABILITY);
    let idle = json!({
        "running": [], "waiting": [], "next_job": "j", "next_at": "2026-11-06T02:30:00Z",
    });
    assert_eq!(next(&mut ear, "attributes"), idle);
    assert_eq!(next(&mut ear, "state"), "OFF");
    assert_eq!(ear.find(AVAILABILITY, |_| true).text(), "online");
    world.later(14 * 3600 + 30 * 60);
    assert_eq!(next(&mut ear, "attributes")["running"], json!(["j"]));
    assert_eq!(next(&mut ear, "state"), "ON");
    assert_eq!(next(&mut ear, "attributes")["running"], json!([]));
    assert_eq!(next(&mut ear, "state"), "OFF");
    serving.end();
    assert_eq!(ear.find(AVAILABILITY, |_| true).text(), "offline");
    let nothing = json!({ "running": [], "waiting": [], "next_job": null, "next_at": null });
    assert_eq!(next(&mut other, "attributes"), nothing);
    // Nothing more came there before the end.
    assert_eq!(next(&mut other, "state"), "OFF");
    let mut rest = [other.hear(), other.hear()].map(|heard| heard.text());
    rest.sort();
    assert_eq!(rest, ["offline", "online"]);
}
