//! What can be set of Tesseract, also where it is not part of the program.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plate::preprocess::PreprocessSettings;
use crate::plate::text::clean;

/// The most characters of a whitelist.
const MAX_WHITELIST: usize = 512;

/// What Tesseract expects a picture to hold (its "page segmentation modes").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageMode {
    /// A line of text: mode 7.
    #[default]
    Line,
    /// One word: mode 8.
    Word,
    /// A line, and no thoughts about where its words are: mode 13.
    RawLine,
}

/// How Tesseract reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TesseractSettings {
    /// The name of a language file without `.traineddata`, or several joined by `+`. Words of the
    /// language are not used with one language; with several, Tesseract gives no way to leave them
    /// out.
    pub language: String,
    /// Where language files are. By default the directories that packages install them in.
    pub datapath: Option<PathBuf>,
    /// What it expects.
    pub page_mode: PageMode,
    /// The only characters that it gives. Those that are no part of a cleaned plate, such as hyphens,
    /// are recognised and left out.
    pub whitelist: String,
    /// What is done to a plate before it is read.
    pub preprocess: PreprocessSettings,
}

impl Default for TesseractSettings {
    fn default() -> Self {
        Self {
            language: "eng".to_owned(),
            datapath: None,
            page_mode: PageMode::default(),
            whitelist: "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".to_owned(),
            preprocess: PreprocessSettings::default(),
        }
    }
}

impl TesseractSettings {
    /// Refuses what cannot work, without looking for a file.
    ///
    /// # Errors
    /// [`Error::Setting`] with the first that cannot be.
    pub fn check(&self) -> Result<()> {
        let wrong = |name, problem: String| Err(Error::Setting { name, problem });
        for language in self.language.split('+') {
            // It becomes part of a path.
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if language.is_empty() || !language.chars().all(plain) {
                let problem = format!("{language:?} is no name of a language file, such as eng");
                return wrong("language", problem);
            }
        }
        if clean(&self.whitelist).is_empty() {
            let problem = "there is no character of a plate in it".to_owned();
            return wrong("whitelist", problem);
        }
        if self.whitelist.chars().count() > MAX_WHITELIST {
            let problem = format!("it has more than {MAX_WHITELIST} characters");
            return wrong("whitelist", problem);
        }
        if self.whitelist.chars().any(char::is_control) {
            return wrong("whitelist", "there is a control character in it".to_owned());
        }
        self.preprocess.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_are_refused_by_name() {
        let good = TesseractSettings::default();
        good.check().expect("the defaults are good");
        type Change = fn(&mut TesseractSettings);
        for (name, change) in [
            ("language", (|s| s.language = String::new()) as Change),
            ("language", |s| s.language = "../eng".to_owned()),
            ("language", |s| s.language = "eng+".to_owned()),
            ("language", |s| s.language = "e/ng".to_owned()),
            ("language", |s| s.language = "eng\0".to_owned()),
            ("whitelist", |s| s.whitelist = String::new()),
            ("whitelist", |s| s.whitelist = "- ".to_owned()),
            ("whitelist", |s| s.whitelist = "AB\0".to_owned()),
            ("whitelist", |s| s.whitelist = "A".repeat(MAX_WHITELIST + 1)),
            ("min_height", |s| s.preprocess.min_height = 0),
        ] {
            let mut settings = good.clone();
            change(&mut settings);
            let error = settings.check().expect_err(name).to_string();
            assert!(error.starts_with(name), "{error}");
        }
        // SecureVision's own.
        let theirs = TesseractSettings {
            language: "eng+rus".to_owned(),
            whitelist: "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789- ".to_owned(),
            ..good
        };
        theirs.check().expect("it is good");
    }
}
