//! The cameras: those of the configuration file, those that were added here, and what was changed of
//! either.
//!
//! What is added or changed here is kept in a private file of the store, encrypted, since addresses
//! hold passwords. A change is a JSON merge patch (RFC 7396) over the settings in the file.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keepwatch_core::Error as CoreError;
use keepwatch_core::events::{Store, check_camera_name};
use keepwatch_vision::{CameraSettings, CameraUrl, Scheme, Watch, source};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{ApiError, Result};

/// The private file of the store that holds them.
const FILE: &str = "cameras";
const VERSION: u32 = 1;
/// The most cameras that can be added.
const MOST: usize = 256;

/// Where a camera's settings are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The configuration file.
    File,
    /// The store.
    Store,
}

/// What is kept in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    /// Cameras that were added, all their settings.
    added: BTreeMap<String, Value>,
    /// What was changed of those in the file.
    changed: BTreeMap<String, Value>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            version: VERSION,
            added: BTreeMap::new(),
            changed: BTreeMap::new(),
        }
    }
}

/// The cameras that are watched.
pub(crate) struct Cameras {
    store: Arc<Store>,
    watch: Arc<Watch>,
    state: Mutex<State>,
}

struct State {
    /// Those of the configuration.
    file: BTreeMap<String, CameraSettings>,
    kept: Kept,
    /// Those that are watched, as they are.
    running: BTreeMap<String, CameraSettings>,
}

impl Cameras {
    /// Begins to watch them.
    pub fn start(
        store: Arc<Store>,
        watch: Arc<Watch>,
        file: BTreeMap<String, CameraSettings>,
    ) -> Result<Self> {
        let kept = read(&store)?;
        let cameras = Self {
            store,
            watch,
            state: Mutex::new(State {
                file,
                kept,
                running: BTreeMap::new(),
            }),
        };
        cameras.apply(&mut cameras.lock());
        Ok(cameras)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the cameras of another configuration; those that stay as they are are not disturbed,
    /// unless all are to begin anew.
    pub fn reload(&self, file: BTreeMap<String, CameraSettings>, all: bool) {
        let mut state = self.lock();
        state.file = file;
        if all {
            for name in std::mem::take(&mut state.running).into_keys() {
                self.watch.remove(&name);
            }
        }
        self.apply(&mut state);
    }

    /// The names of all cameras.
    pub fn names(&self) -> Vec<String> {
        self.lock().running.keys().cloned().collect()
    }

    /// The settings of a camera, and where they are from.
    pub fn get(&self, name: &str) -> Option<(CameraSettings, Place)> {
        let state = self.lock();
        let settings = state.running.get(name)?.clone();
        Some((settings, state.place(name)))
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<String, (CameraSettings, Place)> {
        let state = self.lock();
        let all = state.running.iter();
        all.map(|(name, settings)| (name.clone(), (settings.clone(), state.place(name))))
            .collect()
    }

    /// Adds a camera.
    pub fn add(&self, name: &str, settings: Value) -> Result<()> {
        check_camera_name(name).map_err(|_| {
            ApiError::value(
                "body",
                "name",
                "it is 1 to 64 of A-Z a-z 0-9 . _ -, the first no dot",
            )
        })?;
        let parsed = parse(&settings)?;
        allowed(&parsed)?;
        let mut state = self.lock();
        if state.running.contains_key(name) {
            return Err(ApiError::conflict("there is a camera of this name"));
        }
        if state.kept.added.len() >= MOST {
            return Err(ApiError::conflict("there are too many cameras"));
        }
        self.keep(&mut state, |kept| {
            kept.added.insert(name.to_owned(), settings);
        })?;
        self.apply(&mut state);
        Ok(())
    }

    /// Changes a camera by a merge patch of its settings.
    pub fn change(&self, name: &str, patch: &Value) -> Result<()> {
        let mut state = self.lock();
        let Some(running) = state.running.get(name) else {
            return Err(ApiError::not_found("Camera"));
        };
        let scheme = running.url.scheme();
        let place = state.place(name);
        let (base, before) = match place {
            Place::File => {
                let base = to_value(&state.file[name]);
                (
                    base,
                    state
                        .kept
                        .changed
                        .get(name)
                        .cloned()
                        .unwrap_or_else(|| json!({})),
                )
            }
            Place::Store => (state.kept.added[name].clone(), json!({})),
        };
        let (changes, merged) = together(&base, before, patch);
        let parsed = parse(&merged)?;
        // A file or device of the configuration may stay one.
        if parsed.url.scheme() != scheme || patch.get("url").is_some() {
            allowed(&parsed)?;
        }
        self.keep(&mut state, |kept| match place {
            Place::File => {
                kept.changed.insert(name.to_owned(), changes);
            }
            Place::Store => {
                kept.added.insert(name.to_owned(), merged);
            }
        })?;
        self.apply(&mut state);
        Ok(())
    }

    /// Removes a camera that was added here.
    pub fn remove(&self, name: &str) -> Result<()> {
        let mut state = self.lock();
        if !state.running.contains_key(name) {
            return Err(ApiError::not_found("Camera"));
        }
        if state.place(name) == Place::File {
            return Err(
                ApiError::conflict("the camera is in the configuration file")
                    .with_hint("remove it there, and send the server a SIGHUP"),
            );
        }
        self.keep(&mut state, |kept| {
            kept.added.remove(name);
        })?;
        self.apply(&mut state);
        Ok(())
    }

    fn keep(&self, state: &mut State, change: impl FnOnce(&mut Kept)) -> Result<()> {
        let mut new = None;
        self.store
            .change_private(FILE, |bytes| -> Result<_, CoreError> {
                let mut kept = parse_kept(bytes)?;
                change(&mut kept);
                let bytes = serde_json::to_vec(&kept).expect("cameras are plain JSON");
                new = Some(kept);
                Ok(Some(bytes))
            })?;
        state.kept = new.expect("it was changed");
        Ok(())
    }

    /// Lets what is watched be what is wanted.
    fn apply(&self, state: &mut State) {
        let wanted = state.wanted();
        let gone = state
            .running
            .keys()
            .filter(|name| !wanted.contains_key(*name));
        for name in gone.cloned().collect::<Vec<_>>() {
            self.watch.remove(&name);
            state.running.remove(&name);
        }
        for (name, settings) in wanted {
            if state.running.get(&name) == Some(&settings) {
                continue;
            }
            let source = source::of(&settings);
            match self.watch.replace(name.clone(), settings.clone(), source) {
                Ok(()) => {
                    state.running.insert(name, settings);
                }
                Err(error) => {
                    tracing::error!(
                        camera = name,
                        error = keepwatch_core::with_causes(&error),
                        "cannot watch"
                    );
                }
            }
        }
    }
}

impl State {
    fn place(&self, name: &str) -> Place {
        match self.file.contains_key(name) {
            true => Place::File,
            false => Place::Store,
        }
    }

    /// All cameras as they should be. What does not fit the file any more is left out and said.
    fn wanted(&self) -> BTreeMap<String, CameraSettings> {
        let mut wanted = BTreeMap::new();
        for (name, settings) in &self.kept.added {
            match parse(settings) {
                Ok(settings) => drop(wanted.insert(name.clone(), settings)),
                Err(_) => {
                    tracing::error!(camera = name, "the settings in the store cannot be used");
                }
            }
        }
        for (name, settings) in &self.file {
            let mut settings = settings.clone();
            if let Some(changes) = self.kept.changed.get(name) {
                let mut value = to_value(&settings);
                merge(&mut value, changes);
                match parse(&value) {
                    Ok(changed) => settings = changed,
                    Err(_) => tracing::warn!(
                        camera = name,
                        "what was changed does not fit the configuration any more"
                    ),
                }
            }
            wanted.insert(name.clone(), settings);
        }
        wanted
    }
}

/// A camera that is added from afar must not read the server's own files and devices.
fn allowed(settings: &CameraSettings) -> Result<()> {
    match settings.url.scheme() {
        Scheme::Rtsp | Scheme::Rtsps | Scheme::Http | Scheme::Https | Scheme::Test => Ok(()),
        _ => Err(ApiError::value(
            "body",
            "url",
            "it is to begin with rtsp(s)://, http(s):// or test:",
        )
        .with_hint("files and devices belong into the configuration file")),
    }
}

fn read(store: &Store) -> Result<Kept> {
    let bytes = store.read_private(FILE)?;
    Ok(parse_kept(bytes.as_ref().map(|bytes| bytes.as_slice()))?)
}

fn parse_kept(bytes: Option<&[u8]>) -> Result<Kept, CoreError> {
    let Some(bytes) = bytes else {
        return Ok(Kept::default());
    };
    let kept: Kept = serde_json::from_slice(bytes).map_err(|_| CoreError::Damaged {
        object: "the cameras of the event store".to_owned(),
        detail: "they cannot be read".to_owned(),
    })?;
    match kept.version {
        VERSION => Ok(kept),
        version => Err(CoreError::Unsupported {
            what: "version of the cameras",
            value: version.to_string(),
        }),
    }
}

/// Settings with the credentials that belong to the address.
pub(crate) fn parse(value: &Value) -> Result<CameraSettings> {
    let mut value = value.clone();
    let fields = value.as_object_mut();
    let fields = fields.ok_or_else(|| ApiError::value("body", "", "it is no object"))?;
    let mut take = |name: &'static str| match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ApiError::value("body", name, "it is no text")),
    };
    let (user, password) = (take("user")?, take("password")?);
    // Its messages say what is wrong, and never what was given: that may be a password.
    let mut settings: CameraSettings =
        serde_path_to_error::deserialize(&value).map_err(|error| {
            let field = error.path().to_string();
            let message = match field.as_str() {
                "url" => "it is no address of a camera".to_owned(),
                _ => error.inner().to_string(),
            };
            ApiError::value("body", &field, message)
        })?;
    if user.is_some() || password.is_some() {
        let (user, password) = (user.unwrap_or_default(), password.unwrap_or_default());
        settings.url = settings.url.with_credentials(&user, &password);
    }
    settings.validate()?;
    Ok(settings)
}

/// With credentials, for merging alone: it goes nowhere else.
pub(crate) fn to_value(settings: &CameraSettings) -> Value {
    let mut value = serde_json::to_value(settings).expect("settings are plain");
    value["url"] = address(&settings.url).into();
    if let Some(credentials) = settings.url.credentials() {
        value["user"] = credentials.user().into();
        value["password"] = credentials.password().into();
    }
    value
}

/// The whole address, of which `Display` hides what may be secret.
fn address(url: &CameraUrl) -> String {
    let location = url.location();
    match url.scheme() {
        Scheme::Test => format!("test:{location}"),
        Scheme::Device => format!("device:{location}"),
        _ => location.to_owned(),
    }
}

/// A merge patch (RFC 7396).
pub(crate) fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let fields = value.as_object_mut().expect("it is one now");
    for (name, change) in patch {
        match change {
            Value::Null => drop(fields.remove(name)),
            change => merge(fields.entry(name.clone()).or_insert(Value::Null), change),
        }
    }
}

/// What was changed of something before and is changed now, as one patch, and what comes of it.
pub(crate) fn together(base: &Value, before: Value, patch: &Value) -> (Value, Value) {
    let mut wanted = base.clone();
    merge(&mut wanted, &before);
    merge(&mut wanted, patch);
    let mut changes = before;
    merge_patches(&mut changes, patch);
    let mut merged = base.clone();
    merge(&mut merged, &changes);
    // No patch says that an object is removed and another put in its place: what the one before had
    // beside it has to be removed by name.
    if merged != wanted {
        changes = difference(base, &wanted);
    }
    (changes, wanted)
}

/// The patch that makes one value of another, whose nulls are all in the first one.
fn difference(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else {
        return to.clone();
    };
    let mut patch = Map::new();
    for name in from.keys().filter(|name| !to.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in to {
        match from.get(name) {
            Some(old) if old == value => {}
            Some(old) => drop(patch.insert(name.clone(), difference(old, value))),
            None => drop(patch.insert(name.clone(), value.clone())),
        }
    }
    Value::Object(patch)
}

/// Two merge patches as one: null stays, since it still has to remove something.
fn merge_patches(first: &mut Value, second: &Value) {
    match (first.as_object_mut(), second.as_object()) {
        (Some(fields), Some(changes)) => {
            for (name, change) in changes {
                match fields.get_mut(name) {
                    Some(field) => merge_patches(field, change),
                    None => drop(fields.insert(name.clone(), change.clone())),
                }
            }
        }
        _ => *first = second.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_those_of_rfc_7396() {
        // Its appendix A.
        for (value, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            let mut merged = value.clone();
            merge(&mut merged, &patch);
            assert_eq!(merged, result, "{value} {patch}");
        }
    }

    #[test]
    fn one_patch_does_what_two_do() {
        let base = json!({"a": {"x": 1, "y": 2}, "b": 3});
        let patches = [
            json!({"a": {"x": null, "z": 5}}),
            json!({"a": {"z": null, "y": [1]}, "b": {"c": 1}}),
            json!({"b": null}),
        ];
        let mut after_each = base.clone();
        let mut together = json!({});
        for patch in &patches {
            merge(&mut after_each, patch);
            merge_patches(&mut together, patch);
        }
        let mut after_all = base;
        merge(&mut after_all, &together);
        assert_eq!(after_all, after_each);
    }

    #[test]
    fn what_was_removed_stays_removed_when_something_is_put_in_its_place() {
        let base = json!({"motion": {"x": 1, "y": 2}, "b": 3});
        let before = json!({"motion": null});
        let patch = json!({"motion": {"x": 7}});
        let (changes, wanted) = together(&base, before, &patch);
        assert_eq!(wanted, json!({"motion": {"x": 7}, "b": 3}));
        let mut merged = base;
        merge(&mut merged, &changes);
        assert_eq!(merged, wanted);
        // What is chosen and happens to be the same is a choice all the same.
        let (changes, _) = together(&json!({"b": 3}), json!({}), &json!({"b": 3}));
        assert_eq!(changes, json!({"b": 3}));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (value, field) in [
            (json!({"url": "rtsp://u:hunter2@[bad/1"}), "url"),
            (json!({"url": "rtsp://host/1", "password": 5}), "password"),
            (
                json!({"url": "rtsp://host/1", "pre_roll": "2h"}),
                "pre_roll",
            ),
            (json!({"url": "rtsp://host/1", "decoed": "all"}), "decoed"),
        ] {
            let error = format!("{:?}", parse(&value).expect_err("it is wrong"));
            assert!(error.contains(field), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn settings_come_back_as_they_were() {
        for url in [
            "rtsp://viewer:hunter2@host:8554/live?token=abc&x=1",
            "rtsps://host/1",
            "https://u@host/1",
            "test:",
            "test:smpte",
            "device:/dev/video0",
            "/srv/a film.mp4",
        ] {
            let settings = parse(&json!({ "url": url, "pre_roll": "3s" })).expect(url);
            assert_eq!(parse(&to_value(&settings)).expect(url), settings, "{url}");
        }
    }

    #[test]
    fn the_servers_own_files_are_not_cameras() {
        for (url, good) in [
            ("rtsp://host/1", true),
            ("https://host/1", true),
            ("test:", true),
            ("/etc/passwd", false),
            ("file:///etc/passwd", false),
            ("device:/dev/video0", false),
        ] {
            let settings = parse(&json!({ "url": url })).expect("it is an address");
            assert_eq!(allowed(&settings).is_ok(), good, "{url}");
        }
    }
}
