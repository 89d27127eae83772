//! rclone, with a folder that its configuration names.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use keepwatch_core::id::Id;
use keepwatch_core::storage::{ObjectKind, ObjectName, RemoteFault, StorageError};
use keepwatch_remote::{Credentials, Limits, Options};
use keepwatch_testkit::storage_conformance_one_by_one;
use tempfile::TempDir;

use crate::{create, runtime};

/// A folder with a configuration of rclone.
struct Configured {
    dir: TempDir,
}

impl Configured {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("rclone.conf"), text).unwrap();
        Self { dir }
    }

    fn folder() -> Self {
        let this = Self::new("");
        let text = format!(
            "[disk]\ntype = alias\nremote = {}\n",
            this.at("data").display()
        );
        std::fs::create_dir(this.at("data")).unwrap();
        std::fs::write(this.at("rclone.conf"), text).unwrap();
        this
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn options(&self) -> Options {
        Options {
            credentials: Credentials {
                key_file: Some(self.at("rclone.conf")),
                ..Credentials::default()
            },
            limits: Limits {
                patience: Duration::from_secs(20),
                ..Limits::default()
            },
            scratch: std::env::temp_dir(),
            ..Options::default()
        }
    }
}

/// A configuration with one remote, `disk`, that rclone has encrypted with the password below.
const ENCRYPTED: &str = "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\n\
    xZ37YZO4odh3fGUj+CWjPMUOPm3C1yy9xyAYAHnhm3f/9pECdoiWBUmG3UWANPbRybtLTzSsg/9jUaY2ZA==\n";
const RIGHT: &str = "the right one";

fn pack(text: &str) -> ObjectName {
    ObjectName::new(ObjectKind::Pack, Id::of(text.as_bytes()))
}

#[test]
fn a_folder_keeps_every_promise() {
    let configured = Configured::folder();
    let runtime = runtime();
    let storage = create(
        "rclone://disk/a/repository",
        &configured.options(),
        &runtime,
    )
    .unwrap();
    storage_conformance_one_by_one(&*storage);
    let drafts = configured.at("data/a/repository/tmp");
    let left: Vec<_> = std::fs::read_dir(drafts).unwrap().collect();
    assert!(left.is_empty(), "drafts are left: {left:?}");
}

#[test]
fn what_one_process_wrote_another_sees() {
    let configured = Configured::folder();
    let runtime = runtime();
    let open = || create("rclone://disk/r", &configured.options(), &runtime).unwrap();
    let (one, other) = (open(), open());
    assert!(matches!(
        other.read(&pack("a")),
        Err(StorageError::NotFound { .. })
    ));
    one.create(&pack("a"), &[b"a"]).unwrap();
    assert_eq!(other.read(&pack("a")).unwrap(), b"a");
    assert!(matches!(
        other.create(&pack("a"), &[b"a"]),
        Err(StorageError::AlreadyExists { .. })
    ));
    other.remove(&pack("a")).unwrap();
    assert!(matches!(
        one.read(&pack("a")),
        Err(StorageError::NotFound { .. })
    ));
}

#[test]
fn what_will_not_work_is_told_at_once() {
    let named = "[disk]\ntype = local\n\
                 [typo]\ntype = locla\n\
                 [bare]\ntype = crypt\nremote = disk:/x\n\
                 [clear]\ntype = crypt\nremote = disk:/x\npassword = not obscured\n\
                 [lost]\ntype = alias\nremote = elsewhere:/x\n\
                 [forgotten]\ntype = drive\n";
    let configured = Configured::new(named);
    let broken =
        Configured::new("# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nAAAA\n");
    for (configured, name, said) in [
        (&configured, "elsewhere", "didn't find section"),
        (&configured, "typo", "didn't find backend"),
        (&configured, "bare", "password not set"),
        (&configured, "clear", "failed to decrypt password"),
        (&configured, "lost", "didn't find section"),
        (&configured, "forgotten", "empty token"),
        (&broken, "disk", "Failed to load config file"),
    ] {
        let runtime = runtime();
        let begun = Instant::now();
        let storage = create(
            &format!("rclone://{name}/r"),
            &configured.options(),
            &runtime,
        )
        .unwrap();
        let error = storage.read(&pack("a")).unwrap_err();
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "it was tried again: {error:?}"
        );
        assert!(
            matches!(
                error,
                StorageError::Remote {
                    fault: RemoteFault::Refused | RemoteFault::Denied,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(format!("{error:?}").contains(said), "{error:?}");
    }
}

#[test]
fn a_wrong_password_of_a_configuration_is_told_at_once() {
    let locked = Configured::new(ENCRYPTED);
    let runtime = runtime();
    for (secret, said) in [
        (Some("not it"), "the password of its configuration is wrong"),
        (None, "no password for it is given"),
    ] {
        let mut options = locked.options();
        options.credentials.secret = secret.map(|secret| secret.to_owned().into());
        options.limits.patience = Duration::from_secs(3600);
        let storage = create("rclone://disk/r", &options, &runtime).unwrap();
        let error = storage.read(&pack("a")).unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains(said) && !text.contains("not it"), "{text}");
        assert!(
            matches!(
                error,
                StorageError::Remote {
                    fault: RemoteFault::Denied,
                    ..
                }
            ),
            "{text}"
        );
    }
    // With the right one there is somebody to ask.
    let mut options = locked.options();
    options.credentials.secret = Some(RIGHT.to_owned().into());
    let storage = create("rclone://disk/no-such-folder", &options, &runtime).unwrap();
    let error = storage.read(&pack("a")).unwrap_err();
    assert!(matches!(error, StorageError::NotFound { .. }), "{error:?}");
}
