//! That a scheduler is there, and whether jobs run: told to brokers for as long as it lives.

use std::collections::BTreeMap;

use keepwatch_config::Config;
use keepwatch_ops::notify::{Component, Entity, EntityState, LivePart, Shown};
use serde_json::{Map, Value, json};

use crate::brokers::{Brokers, settings};
use crate::scheduler::Standing;

/// Shows how a scheduler stands. Nothing here waits for the network.
pub(crate) struct Presence {
    brokers: Brokers,
    /// What each shows.
    shown: BTreeMap<String, Map<String, Value>>,
}

impl Presence {
    pub fn start(config: &Config) -> Self {
        let mut presence = Self {
            brokers: Brokers::new(LivePart::Jobs),
            shown: BTreeMap::new(),
        };
        presence.follow(config);
        presence
    }

    /// Another configuration is in force.
    pub fn follow(&mut self, config: &Config) {
        for new in self.brokers.follow(settings(config), &[entity()]) {
            self.shown.remove(&new);
        }
    }

    /// Shows it where it is not shown as yet.
    pub fn show(&mut self, config: &Config, standing: &Standing) {
        for (name, broker) in self.brokers.iter() {
            let attributes = attributes(config, name, standing);
            if self.shown.get(name) == Some(&attributes) {
                continue;
            }
            let runs = attributes.get("running") != Some(&json!([]));
            let shown = Shown {
                state: EntityState::Text(if runs { "ON" } else { "OFF" }.to_owned()),
                attributes: Some(attributes.clone()),
            };
            broker.publisher.show(&entity(), Some(shown));
            self.shown.insert(name.to_owned(), attributes);
        }
    }

    /// Tells that it is gone.
    pub fn end(self) {
        drop(self);
    }
}

fn entity() -> Entity {
    Entity {
        component: Component::BinarySensor,
        id: "jobs_running".to_owned(),
        name: "Jobs running".to_owned(),
        device_class: Some("running"),
        icon: None,
        is_live: true,
    }
}

/// Of the jobs that this broker hears of: others are nobody's business there.
fn attributes(config: &Config, broker: &str, standing: &Standing) -> Map<String, Value> {
    let is_told = |job: &str| {
        let named = config.jobs.get(job).map(|job| job.notify.as_ref());
        named.is_some_and(|named| named.is_none_or(|names| names.iter().any(|name| name == broker)))
    };
    let told =
        |jobs: &[String]| -> Value { jobs.iter().filter(|job| is_told(job)).cloned().collect() };
    let next = standing.next.as_ref().filter(|(job, _)| is_told(job));
    let mut all = Map::new();
    all.insert("running".to_owned(), told(&standing.running));
    all.insert("waiting".to_owned(), told(&standing.waiting));
    all.insert("next_job".to_owned(), json!(next.map(|(job, _)| job)));
    all.insert(
        "next_at".to_owned(),
        json!(next.map(|(_, at)| format!("{at:.0}"))),
    );
    all
}
