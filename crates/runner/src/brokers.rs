//! The brokers of a configuration at which something live is shown.

use std::collections::BTreeMap;

use keepwatch_config::Config;
use keepwatch_ops::notify::{
    Entity, LivePart, MqttSettings, Network, Publisher, PublisherOptions, TargetSettings,
};

/// One of them.
pub(crate) struct Broker {
    pub settings: MqttSettings,
    pub publisher: Publisher,
}

/// All of them, by their names in the configuration.
pub(crate) struct Brokers {
    part: LivePart,
    by_name: BTreeMap<String, Broker>,
}

/// The settings of all brokers of a configuration.
pub(crate) fn settings(config: &Config) -> BTreeMap<String, MqttSettings> {
    let brokers = config.notify.iter().filter_map(|(name, target)| {
        let TargetSettings::Mqtt(settings) = target else {
            return None;
        };
        Some((name.clone(), settings.clone()))
    });
    brokers.collect()
}

/// Whether entities have the same topics at both.
fn is_same_place(a: &MqttSettings, b: &MqttSettings) -> bool {
    let place = |settings: &MqttSettings| {
        let MqttSettings { host, port, .. } = settings.clone();
        (
            host,
            port,
            settings.instance.clone(),
            settings.discovery_prefix.clone(),
        )
    };
    place(a) == place(b)
}

impl Brokers {
    pub fn new(part: LivePart) -> Self {
        Self {
            part,
            by_name: BTreeMap::new(),
        }
    }

    /// Lets them be those of other settings. What is as before is not disturbed; `shown` is taken
    /// from where nothing is to be shown any more. Gives the names of those that are new.
    pub fn follow(
        &mut self,
        wanted: BTreeMap<String, MqttSettings>,
        shown: &[Entity],
    ) -> Vec<String> {
        let (stay, go) = std::mem::take(&mut self.by_name)
            .into_iter()
            .partition(|(name, broker)| wanted.get(name) == Some(&broker.settings));
        self.by_name = stay;
        let gone: BTreeMap<String, Broker> = go;
        for broker in gone.into_values() {
            if !wanted
                .values()
                .any(|settings| is_same_place(settings, &broker.settings))
            {
                shown
                    .iter()
                    .for_each(|entity| broker.publisher.withdraw(entity));
            }
            broker.publisher.end();
        }
        let mut new = Vec::new();
        for (name, settings) in wanted {
            if self.by_name.contains_key(&name) {
                continue;
            }
            let options = PublisherOptions::default();
            match Publisher::start(&settings, &Network::system(), self.part, options) {
                Ok(publisher) => {
                    let broker = Broker {
                        settings,
                        publisher,
                    };
                    self.by_name.insert(name.clone(), broker);
                    new.push(name);
                }
                // A configuration that was checked has none such.
                Err(error) => tracing::error!(to = name, %error, "nothing live is shown there"),
            }
        }
        new
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Broker)> {
        self.by_name
            .iter()
            .map(|(name, broker)| (name.as_str(), broker))
    }

    pub fn get(&self, name: &str) -> Option<&Broker> {
        self.by_name.get(name)
    }
}
