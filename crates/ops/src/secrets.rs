//! Secrets that are known, taken out of what programs say of themselves.

use std::collections::BTreeMap;

use keepwatch_core::SecretText;

use crate::hook::is_harmless;

/// Less of a secret than this tells nothing, in bytes.
const MIN_CUT: usize = 6;
/// Values of variables that are not named like secrets are mostly words and numbers, which stand in
/// every message: only those that are as long as this are taken for secrets, in bytes.
const MIN_UNNAMED: usize = 8;

/// What nobody is to read in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Secrets(Vec<SecretText>);

impl Secrets {
    /// Of a password, if there is one.
    pub fn of_password(password: Option<&SecretText>) -> Self {
        Self::new(password)
    }

    /// Of the variables that a program gets from its settings.
    pub fn of_variables(variables: &BTreeMap<String, SecretText>) -> Self {
        let secret = variables.iter().filter(|(name, value)| {
            let value = value.expose();
            value.len() >= MIN_UNNAMED || !is_harmless(name.as_ref(), value.as_ref())
        });
        Self::new(secret.map(|(_, value)| value))
    }

    fn new<'s>(secrets: impl IntoIterator<Item = &'s SecretText>) -> Self {
        let mut all: Vec<SecretText> = secrets
            .into_iter()
            // What comes out of a file may have a line break that nobody repeats.
            .map(|secret| SecretText::new(secret.expose().trim().to_owned()))
            .filter(|secret| !secret.expose().is_empty())
            .collect();
        // One may be a part of another.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self(all)
    }

    /// The text without any of them.
    pub fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            without(&text, secret.expose())
        })
    }
}

/// The text without a secret, and without the beginning of it at its end, or the end of it at its
/// beginning: only so much of what a program says is kept, and what is cut may be the secret.
pub(crate) fn without(text: &str, secret: &str) -> String {
    let mut text = text.replace(secret, "…");
    let places = || {
        let places = secret.char_indices().map(|(place, _)| place);
        places.filter(|place| *place > 0)
    };
    let begun = places()
        .rev()
        .take_while(|length| *length >= MIN_CUT)
        .find(|length| text.ends_with(&secret[..*length]));
    if let Some(length) = begun {
        text.truncate(text.len() - length);
        text.push('…');
    }
    let ended = places()
        .take_while(|place| secret.len() - place >= MIN_CUT)
        .find(|place| text.starts_with(&secret[*place..]));
    if let Some(place) = ended {
        text.replace_range(..secret.len() - place, "…");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_wherever_it_stands_and_is_cut() {
        let secret = "hunter2-ünd-more";
        for (text, hidden) in [
            ("nothing of it", "nothing of it"),
            ("a hunter2-ünd-more b hunter2-ünd-more", "a … b …"),
            ("it was hunter2-ü", "it was …"),
            ("r2-ünd-more was it", "… was it"),
            ("hunter", "…"),
            ("a hunt", "a hunt"),
            ("more", "more"),
        ] {
            assert_eq!(without(text, secret), hidden, "{text}");
        }
    }

    #[test]
    fn variables_are_secret_by_name_or_length() {
        let variables = [
            ("TOKEN", "abc"),
            ("DEBUG", "true"),
            ("WHERE", "long enough"),
            ("EMPTY_PASSWORD", ""),
        ];
        let variables = variables
            .map(|(name, value)| (name.to_owned(), SecretText::new(value.to_owned())))
            .into();
        let secrets = Secrets::of_variables(&variables);
        let said = secrets.hide("true: abc is not long enough");
        assert_eq!(said, "true: … is not …");
        assert!(!format!("{secrets:?}").contains("abc"));
    }

    #[test]
    fn the_longer_one_goes_first() {
        let variables = [("A_KEY", "pass"), ("B_KEY", "passphrase\n")]
            .map(|(name, value)| (name.to_owned(), SecretText::new(value.to_owned())))
            .into();
        let secrets = Secrets::of_variables(&variables);
        assert_eq!(secrets.hide("passphrase, pass"), "…, …");
    }
}
