//! Objects in pictures: people, cars, dogs, and whatever else a network has classes for.

mod coco;

use std::sync::Arc;

use crate::detect::{Detection, Detector};
use crate::error::{Error, Result};
use crate::geometry::Box2;
use crate::picture::View;

/// An object that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundObject {
    /// Where, in pixels of the picture.
    pub bounds: Box2,
    /// How sure, 0 to 1.
    pub score: f32,
    /// What it is.
    pub label: Arc<str>,
}

/// Finds objects of the classes that are wanted, and calls them by name.
pub struct ObjectFinder {
    detector: Box<dyn Detector>,
    names: Vec<Arc<str>>,
    /// Empty for all.
    wanted: Vec<Arc<str>>,
    found: Vec<Vec<Detection>>,
}

impl ObjectFinder {
    /// With the names of the detector's classes, in order, and those that are wanted; none means all
    /// of them. Classes without a name are called `class 7`.
    ///
    /// # Errors
    /// [`Error::Setting`] when a name that is wanted is that of no class.
    pub fn new(detector: Box<dyn Detector>, names: &[String], wanted: &[String]) -> Result<Self> {
        if let Some(unknown) = wanted.iter().find(|wanted| !names.contains(wanted)) {
            let problem = match names {
                [] => "the names of the network's classes are not known".to_owned(),
                names => format!(
                    "no class is called {unknown:?}: there are {}",
                    names.join(", ")
                ),
            };
            return Err(Error::Setting {
                name: "labels",
                problem,
            });
        }
        let shared = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
        Ok(Self {
            detector,
            names: shared(names),
            wanted: shared(wanted),
            found: Vec::new(),
        })
    }

    /// Finds what is in each of the pictures, the surest first.
    ///
    /// # Errors
    /// When the network cannot be computed.
    pub fn find_all(&mut self, views: &[View<'_>]) -> Result<Vec<Vec<FoundObject>>> {
        self.detector.detect(views, &mut self.found)?;
        let named = |detection: &Detection| {
            let label = match self.names.get(detection.class as usize) {
                Some(name) => name.clone(),
                None => format!("class {}", detection.class).into(),
            };
            let is_wanted = self.wanted.is_empty() || self.wanted.contains(&label);
            is_wanted.then_some(FoundObject {
                bounds: detection.bounds,
                score: detection.score,
                label,
            })
        };
        let all = self.found.iter();
        Ok(all
            .map(|found| found.iter().filter_map(named).collect())
            .collect())
    }
}

/// The names of the classes of a network that has so many and does not say what they are: 80 are
/// those of COCO, which nearly all published networks are trained with.
pub fn usual_names(classes: Option<usize>) -> Vec<String> {
    match classes {
        Some(count) if count == coco::NAMES.len() => coco::NAMES.map(str::to_owned).to_vec(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Channels, Picture};

    /// Finds one object of each class from 0 on, the surest first.
    struct Each(u32);

    impl Detector for Each {
        fn detect(&mut self, views: &[View<'_>], found: &mut Vec<Vec<Detection>>) -> Result<()> {
            found.resize_with(views.len(), Vec::new);
            let of = |class: u32| Detection {
                bounds: Box2 {
                    x: 1.0,
                    y: 2.0,
                    w: 3.0,
                    h: 4.0,
                },
                score: 0.9 - class as f32 / 10.0,
                class,
                landmarks: None,
            };
            for found in found {
                *found = (0..self.0).map(of).collect();
            }
            Ok(())
        }
    }

    fn labels(names: &[&str], wanted: &[&str]) -> Result<Vec<Vec<String>>> {
        let owned = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let mut finder = ObjectFinder::new(Box::new(Each(3)), &owned(names), &owned(wanted))?;
        let picture = Picture::new(vec![0; 48], 4, 4, Channels::Rgb)?;
        finder.find_all(&[picture.view(); 3])?;
        let found = finder.find_all(&[picture.view(); 2])?;
        let label = |found: FoundObject| found.label.to_string();
        Ok(found
            .into_iter()
            .map(|found| found.into_iter().map(label).collect())
            .collect())
    }

    #[test]
    fn objects_have_the_names_of_their_classes() {
        let found = labels(&["person", "car"], &[]).expect("it finds them");
        assert_eq!(found, [["person", "car", "class 2"]; 2]);
        let found = labels(&["person", "car"], &["car"]).expect("it finds them");
        assert_eq!(found, [["car"]; 2]);
    }

    #[test]
    fn classes_that_no_network_has_are_refused() {
        let error = labels(&["person", "car"], &["cat"]).expect_err("there is none");
        assert!(
            error.to_string().contains("\"cat\": there are person, car"),
            "{error}"
        );
        let error = labels(&[], &["cat"]).expect_err("there is none");
        assert!(error.to_string().contains("not known"), "{error}");
    }

    #[test]
    fn eighty_classes_are_those_of_coco() {
        let names = usual_names(Some(80));
        assert_eq!(
            (names[0].as_str(), names[2].as_str(), names[79].as_str()),
            ("person", "car", "toothbrush")
        );
        assert!(usual_names(Some(2)).is_empty() && usual_names(None).is_empty());
    }
}
