//! A program that brings another machine to the state of an inventory.
//!
//! It is written for `bash` and Debian's tools. Nothing of an inventory gets into it but through
//! [`quote`](quote::quote) or [`comment`](quote::comment), and nothing that does not look like the
//! name of a package, unit or file where one is expected: quotes keep a name from being a command,
//! but not `curl-` from removing a package. What is left out is named in the script.
//!
//! There are no secrets in it, whatever is in the inventory.

mod quote;
mod sections;
mod valid;

use keepwatch_core::Name;

use super::{Error, Inventory, Result};
use quote::{comment, quote};

#[cfg(feature = "fuzzing")]
pub(super) use quote::{comment as fuzzed_comment, quote as fuzzed_quote};

/// What every script begins with.
const PRELUDE: &str = include_str!("script/prelude.bash");

/// A part of a rebuild script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Keyrings and sources of apt, remotes of Flatpak.
    Repositories,
    /// Packages.
    Packages,
    /// Files that people have set up.
    Dotfiles,
    /// Units of systemd.
    Services,
    /// Cron tables.
    Cron,
    /// Extensions and plugins of editors.
    Editors,
    /// Images of containers.
    Containers,
}

impl Section {
    /// All of them, in the order in which they are in a script.
    pub const ALL: [Section; 7] = [
        Section::Repositories,
        Section::Packages,
        Section::Dotfiles,
        Section::Services,
        Section::Cron,
        Section::Editors,
        Section::Containers,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Section::Repositories => "repositories",
            Section::Packages => "packages",
            Section::Dotfiles => "dotfiles",
            Section::Services => "services",
            Section::Cron => "cron",
            Section::Editors => "editors",
            Section::Containers => "containers",
        }
    }
}

impl std::str::FromStr for Section {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut all = Section::ALL.into_iter();
        let found = all.find(|section| section.name() == text);
        found.ok_or_else(|| Error::NoSuchSection {
            name: text.to_owned(),
        })
    }
}

/// The rebuild script of an inventory with these sections.
///
/// Run by root, or by somebody whose `sudo` asks nothing. Run again it does only what is not done
/// yet. Files that are there already are kept, unless `REPLACE=1` is in its environment; with
/// `DRY_RUN=1` it says what it would do. It ends with 1 if something failed, after everything else
/// was done.
pub fn script(inventory: &Inventory, sections: &[Section]) -> String {
    let mut script = Script::default();
    script.header(inventory, sections);
    for section in Section::ALL {
        if !sections.contains(&section) {
            continue;
        }
        script.text.push('\n');
        script.comment(format!("---- {} ----", section.name()));
        script.line(format_args!("say {}", quote(section.name().as_bytes())));
        match section {
            Section::Repositories => script.repositories(inventory),
            Section::Packages => script.packages(inventory),
            Section::Dotfiles => script.dotfiles(inventory),
            Section::Services => script.services(inventory),
            Section::Cron => script.cron(inventory),
            Section::Editors => script.editors(inventory),
            Section::Containers => script.containers(inventory),
        }
    }
    script.by_hand(inventory);
    script.line("\nfinish");
    script.text
}

#[derive(Default)]
struct Script {
    text: String,
}

impl Script {
    /// A line of our own, whose values are quoted.
    fn line(&mut self, line: impl std::fmt::Display) {
        use std::fmt::Write;
        writeln!(self.text, "{line}").expect("text takes text");
    }

    fn comment(&mut self, text: impl AsRef<[u8]>) {
        self.line(comment(text.as_ref()));
    }

    /// A call with values, each of them quoted.
    fn call(&mut self, command: &str, values: &[&[u8]]) {
        let values: String = values
            .iter()
            .map(|value| format!(" {}", quote(value)))
            .collect();
        self.line(format_args!("{command}{values}"));
    }

    /// A call with many values, one a line; none without any.
    fn call_with(&mut self, command: &str, values: &[&[u8]]) {
        if values.is_empty() {
            return;
        }
        let lines: String = values
            .iter()
            .map(|value| format!(" \\\n    {}", quote(value)))
            .collect();
        self.line(format_args!("{command}{lines}"));
    }

    fn left_out(&mut self, what: &[u8], why: &str) {
        let text = [b"left out, ", why.as_bytes(), b": ", what].concat();
        self.comment(text);
    }

    /// Those that are valid; the others are left out.
    fn only<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a Name>,
        valid: fn(&[u8]) -> bool,
    ) -> Vec<&'a [u8]> {
        let mut kept = Vec::new();
        for name in names {
            match valid(&name.0) {
                true => kept.push(name.0.as_slice()),
                false => self.left_out(&name.0, "it is not named as such things are"),
            }
        }
        kept
    }

    fn header(&mut self, inventory: &Inventory, sections: &[Section]) {
        self.line("#!/usr/bin/env bash");
        // Not by `comment`, which lets nobody give orders to shellcheck.
        self.line(
            "# shellcheck disable=SC2016  # values are quoted so that nothing in them expands",
        );
        let unknown = Name(b"a machine without a name".to_vec());
        let host = inventory.machine.hostname.as_ref().unwrap_or(&unknown);
        self.comment(
            [
                b"Rebuilds what an inventory has found on ",
                host.0.as_slice(),
            ]
            .concat(),
        );
        if let Some(os) = &inventory.machine.os {
            self.comment([b"with ", os.0.as_slice()].concat());
        }
        self.comment(format!("at {}", inventory.taken_at));
        let names: Vec<&str> = sections.iter().map(|section| section.name()).collect();
        self.comment(format!("sections: {}", names.join(", ")));
        self.text.push_str(PRELUDE);
    }

    /// What no program should do without being told.
    fn by_hand(&mut self, inventory: &Inventory) {
        self.text.push('\n');
        self.comment("---- to be done by hand ----");
        let mut items: Vec<Vec<u8>> = Vec::new();
        let mut item = |what: &str, name: &Name| items.push([what.as_bytes(), &name.0].concat());
        if let Some(hostname) = &inventory.machine.hostname {
            item("the name of the machine: ", hostname);
        }
        for connection in &inventory.network.connections {
            item("a network and its secrets: ", &connection.name);
        }
        for file in &inventory.network.files {
            item("a file that sets up networks: ", file);
        }
        for font in &inventory.fonts {
            item("a font: ", &font.path);
        }
        for container in &inventory.containers.containers {
            item("a container: ", &container.name);
        }
        for compose in &inventory.containers.compose_files {
            item("a file of Compose: ", &compose.path);
        }
        for cron in &inventory.cron.scripts {
            item("a program of cron, unless a package brings it: ", cron);
        }
        for item in items {
            self.comment(item);
        }
    }
}
