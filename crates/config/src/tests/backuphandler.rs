//! BackupHandler's INI files.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::PathBuf;

use proptest::prelude::*;

use super::load;
use crate::backuphandler::{Imported, IniError, NoticeKind, import};

const FULL: &str = r"
[META]
schema_version = 3
[DEFAULT]
source_dir = /home/me/documents
mode = incremental
compress_type = zip_pw
exclude_patterns = *.log, cache/*, a{b}$c
parallel_copies = 4
[BACKUPS]
backup_dirs = /mnt/one/, /mnt/two
[ENCRYPTION]
enabled = True
key_file = None
passphrase = hunter2-passphrase
workers = 2
[SSH]
ssh_servers = host.example
username = me
password = hunter2-ssh
[S3]
access_key = ${AWS_ID}
secret_key = hunter2-s3
[DATABASE]
password = hunter2-db
single_transaction = True
[SMTP]
password = hunter2-smtp
[WEBHOOK]
url = https://hooks.example/hunter2-webhook
auth_header = Bearer hunter2-header
[HEARTBEAT]
url = https://hc.example/hunter2-heartbeat
[TAILSCALE]
auth_key = tskey-hunter2
[SCHEDULE]
times = 03:00, 12:00
interval_minutes = 60
[MODES]
local = True
ssh = True
s3 = False
[HOOKS]
pre_backup = mount /mnt/one && echo $USER
[RETENTION]
max_age_days = 30
max_count = 0
[DEDUP]
enabled = True
[NOTIFICATIONS]
receiver_emails = me@example.org
colour = blue
";

const TOML: &str = r#"schema_version = 1

[jobs.backup]
exclude = ["*.log", "cache/*", 'a\{b\}$$c']
kind = "backup"
paths = ["/home/me/documents"]
prune = true
repository = ["main", "main-2", "ssh"]

[jobs.backup.heartbeat]
url = "${HEARTBEAT_URL}"

[[jobs.backup.hooks.before]]
command = ["sh", "-c", "mount /mnt/one && echo $$USER"]

[jobs.backup.keep]
max_age = "30d"

[jobs.backup.schedule]
times = ["03:00", "12:00"]

[notify.webhook]
from = "success"
kind = "webhook"
url = "${WEBHOOK_URL}"

[notify.webhook.headers]
Authorization = "${WEBHOOK_AUTH_HEADER}"

[repositories.main]
password = "${BACKUP_ENCRYPTION_PASSPHRASE}"
path = "/mnt/one/keepwatch"

[repositories.main-2]
password = "${BACKUP_ENCRYPTION_PASSPHRASE}"
path = "/mnt/two/keepwatch"

[repositories.ssh]
password = "${BACKUP_ENCRYPTION_PASSPHRASE}"
path = "sftp://host.example/~/keepwatch"

[repositories.ssh.remote]
password = "${SSH_PASSWORD}"
user = "me"
"#;

/// The kind of each notice, the key, and the variable that is to be set.
const NOTICES: &str = "\
Changed BACKUPS.backup_dirs
Changed DEFAULT.exclude_patterns
Changed HEARTBEAT.url $HEARTBEAT_URL
Changed HOOKS.pre_backup
Changed RETENTION.max_age_days
Changed SCHEDULE.times
Changed SSH.ssh_servers
Changed WEBHOOK.url $WEBHOOK_URL
NotNeeded DATABASE.password
NotNeeded DATABASE.single_transaction
NotNeeded DEDUP.enabled
NotNeeded DEFAULT.compress_type
NotNeeded DEFAULT.mode
NotNeeded DEFAULT.parallel_copies
NotNeeded ENCRYPTION.enabled
NotNeeded ENCRYPTION.workers
NotNeeded META.schema_version
NotNeeded MODES.local
NotNeeded MODES.s3
NotNeeded RETENTION.max_count
NotNeeded S3.access_key
NotNeeded S3.secret_key
NotNeeded SCHEDULE.interval_minutes
NotNeeded TAILSCALE.auth_key
NotYet NOTIFICATIONS.receiver_emails
NotYet SMTP.password $SMTP_PASSWORD
Taken DEFAULT.source_dir
Taken ENCRYPTION.passphrase $BACKUP_ENCRYPTION_PASSPHRASE
Taken MODES.ssh
Taken SSH.password $SSH_PASSWORD
Taken SSH.username
Taken WEBHOOK.auth_header $WEBHOOK_AUTH_HEADER
Unknown NOTIFICATIONS.colour";

fn told(imported: &Imported) -> Vec<String> {
    let notices = imported.notices.iter();
    let mut told: Vec<String> = notices
        .map(|notice| match &notice.variable {
            Some(variable) => format!("{:?} {} ${variable}", notice.kind, notice.key),
            None => format!("{:?} {}", notice.kind, notice.key),
        })
        .collect();
    told.sort();
    told
}

#[test]
fn every_key_is_told_of_and_the_rest_is_a_configuration() {
    let imported = import(FULL).unwrap();
    assert_eq!(imported.toml, TOML);
    assert_eq!(told(&imported).join("\n"), NOTICES);
    assert!(imported.is_partial());
    let all = format!("{imported:?}");
    assert!(!all.contains("hunter2"), "{all}");
    let variables = [
        ("BACKUP_ENCRYPTION_PASSPHRASE", "new"),
        ("HEARTBEAT_URL", "https://hc.example/1"),
        ("SSH_PASSWORD", "there"),
        ("WEBHOOK_AUTH_HEADER", "Bearer of news"),
        ("WEBHOOK_URL", "https://hooks.example/1"),
    ];
    let loaded = load(&imported.toml, &variables).unwrap();
    let job = &loaded.config.jobs["backup"];
    assert_eq!(job.repositories, ["main", "main-2", "ssh"]);
    assert_eq!(
        job.hooks.before[0].command[2],
        "mount /mnt/one && echo $USER"
    );
    assert_eq!(job.paths, [PathBuf::from("/home/me/documents")]);
    assert_eq!(job.exclude, ["*.log", "cache/*", r"a\{b\}$c"]);
    let repository = &loaded.config.repositories[&job.repositories[1]];
    assert_eq!(repository.path, PathBuf::from("/mnt/two/keepwatch"));
    assert_eq!(repository.password.as_ref().unwrap().expose(), "new");
    load(&imported.toml, &[]).unwrap_err();
}

#[test]
fn a_repository_is_encrypted_whatever_was() {
    let text = "[DEFAULT]\nsource_dir = s\n[BACKUPS]\nbackup_dirs = d\n[MODES]\nlocal = yes\n";
    let imported = import(text).unwrap();
    let variable = "KEEPWATCH_REPOSITORY_PASSWORD";
    let changed = imported
        .notices
        .iter()
        .find(|notice| notice.key == "ENCRYPTION.enabled");
    assert_eq!(changed.unwrap().variable.as_deref(), Some(variable));
    load(&imported.toml, &[(variable, "chosen")]).unwrap();
    let with_key =
        format!("{text}[ENCRYPTION]\nenabled = on\nkey_file = /k\npassphrase = ${{P}}\n");
    let imported = import(&with_key).unwrap();
    let loaded = load(&imported.toml, &[]).unwrap();
    let repository = &loaded.config.repositories["main"];
    assert_eq!(repository.key_file, Some(PathBuf::from("/k")));
    assert_eq!(repository.path, PathBuf::from("d/keepwatch"));
}

#[test]
fn without_a_local_backup_there_is_no_job() {
    let text = "[DEFAULT]\nsource_dir = s\n[BACKUPS]\nbackup_dirs = d\n[MODES]\nlocal = False\nssh = True\n";
    let imported = import(text).unwrap();
    assert_eq!(imported.toml, "schema_version = 1\n");
    assert_eq!(
        told(&imported),
        [
            "NotNeeded BACKUPS.backup_dirs",
            "NotNeeded MODES.local",
            "NotYet DEFAULT.source_dir",
            "NotYet MODES.ssh",
        ]
    );
}

#[test]
fn a_bucket_and_mail_are_taken_over() {
    let text = "[DEFAULT]\nsource_dir = /s\n[MODES]\ns3 = True\n[S3]\nbucket = b\nprefix = /old/\n\
                region = eu-west-1\naccess_key = hunter2-id\nsecret_key = hunter2\nmax_bandwidth = 100\n\
                multipart_threshold = 8\nmax_concurrency = 10\n[SMTP]\nhost = mail.example\nport = 587\n\
                user = me@example.org\npassword = hunter2\nto_addrs = you@example.org\nuse_tls = True\n";
    let text = text.replace("s3 = True", "s3 = True\ndb = True");
    let text = format!(
        "{text}[DATABASE]\nuser = root\npassword = hunter2\ndatabase = shop\nhost = localhost\n\
         port = 3306\nsingle_transaction = True\nbinlog_position = True\n[TAILSCALE]\n\
         enabled = True\nauth_key = hunter2\ndisconnect_after = True\n"
    );
    let imported = import(&text).unwrap();
    assert!(!imported.is_partial(), "{:?}", imported.notices);
    assert!(!format!("{imported:?}").contains("hunter2"));
    let variables = [
        ("KEEPWATCH_REPOSITORY_PASSWORD", "chosen"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("DB_PASSWORD", "p"),
        ("SMTP_PASSWORD", "p"),
        ("TAILSCALE_AUTH_KEY", "tskey-auth-1"),
    ];
    let config = load(&imported.toml, &variables).unwrap().config;
    let repository = &config.repositories["s3"];
    assert_eq!(
        repository.path,
        PathBuf::from("s3://b/old/keepwatch?region=eu-west-1")
    );
    assert_eq!(repository.remote.upload_limit, Some(102_400));
    assert_eq!(repository.remote.connections, Some(10));
    assert_eq!(config.jobs["backup"].repositories, ["s3"]);
    assert!(config.notify.contains_key("mail"));
    assert_eq!(config.jobs["backup"].databases, ["main"]);
    assert!(config.jobs["backup"].tailscale.is_some());
}

#[test]
fn its_other_files_are_known_too() {
    let mail = "[EMAIL]\nsender_email = a@b.c\napp_password = hunter2\n";
    let imported = import(mail).unwrap();
    assert_eq!(
        told(&imported),
        [
            "NotYet EMAIL.app_password $SMTP_PASSWORD",
            "NotYet EMAIL.sender_email"
        ]
    );
    assert!(!format!("{imported:?}").contains("hunter2"));
}

#[test]
fn files_of_others_are_told_apart() {
    assert_eq!(import("").unwrap_err(), IniError::OfOthers);
    assert_eq!(
        import("[unrelated]\na = 1").unwrap_err(),
        IniError::OfOthers
    );
    let securevision = "# .env\n[x]\nSECUREVISION__API__AUTH_TOKEN=hunter2\n";
    let error = import(securevision).unwrap_err();
    assert_eq!(error, IniError::OfSecureVision);
    assert!(!error.to_string().contains("hunter2"));
    let bare = import("SECUREVISION__API__PORT=1").unwrap_err();
    assert_eq!(bare, IniError::OfSecureVision);
    let error = import("[MODES]\nlocal = hunter2\n[BACKUPS]\nbackup_dirs = d").unwrap_err();
    assert_eq!(error.to_string(), "MODES.local is neither true nor false");
}

#[test]
fn genuine_files_become_configurations_that_load() {
    let samples = keepwatch_testdata().join("backuphandler/config");
    let variables = [
        ("BACKUP_ENCRYPTION_PASSPHRASE", "p"),
        ("KEEPWATCH_REPOSITORY_PASSWORD", "p"),
    ];
    for (name, directory) in [
        ("plain", "plain"),
        ("enc-passphrase", "enc_passphrase"),
        ("enc-keyfile", "enc_keyfile"),
        ("dedup", "dedup"),
    ] {
        let text = std::fs::read_to_string(samples.join(format!("{name}.ini"))).unwrap();
        let imported = import(&text).unwrap();
        assert!(!imported.is_partial(), "{name}: {:?}", imported.notices);
        let loaded = load(&imported.toml, &variables).unwrap();
        let repository = &loaded.config.repositories["main"];
        assert_eq!(repository.path, PathBuf::from(directory).join("keepwatch"));
        assert_eq!(
            loaded.config.jobs["backup"].paths,
            [PathBuf::from("source")]
        );
        assert_eq!(repository.key_file.is_some(), name == "enc-keyfile");
        let kinds = imported.notices.iter().map(|notice| notice.kind);
        assert!(kinds.filter(|kind| *kind == NoticeKind::Changed).count() >= 1);
    }
}

fn keepwatch_testdata() -> PathBuf {
    let path = std::env::var_os("KEEPWATCH_TESTDATA").map(PathBuf::from);
    path.expect("set KEEPWATCH_TESTDATA to the directory that holds the fixtures")
}

proptest! {
    #[test]
    fn whatever_it_says_the_outcome_is_a_configuration(
        source in "\\PC{0,20}", directories in "\\PC{0,20}", exclude in "\\PC{0,20}", passphrase in "\\PC{0,20}",
        encrypted in any::<bool>(),
    ) {
        let text = format!(
            "[DEFAULT]\nsource_dir = {source}\nexclude_patterns = {exclude}\n[BACKUPS]\nbackup_dirs = {directories}\n\
             [ENCRYPTION]\nenabled = {encrypted}\npassphrase = {passphrase}\n[MODES]\nlocal = true\n"
        );
        let Ok(imported) = import(&text) else { return Ok(()) };
        let table: toml::Table = toml::from_str(&imported.toml).unwrap();
        prop_assert!(table.contains_key("schema_version"));
    }
}
