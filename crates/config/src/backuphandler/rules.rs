//! What becomes of the keys of BackupHandler that are no source, destination or key.

/// What becomes of a key.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    /// There is nothing of the kind yet.
    NotYet(&'static str),
    /// The same of a secret, with the variable that it should be in.
    Secret(&'static str, &'static str),
    /// It is not needed, or meant nothing.
    NotNeeded(&'static str),
}

/// The sections of its files.
pub(super) const SECTIONS: &[&str] = &[
    "META",
    "BACKUPS",
    "SSH",
    "S3",
    "ENCRYPTION",
    "DATABASE",
    "SMTP",
    "DEDUP",
    "TAILSCALE",
    "SCHEDULE",
    "MODES",
    "HOOKS",
    "RETENTION",
    "WEBHOOK",
    "HEARTBEAT",
    "NOTIFICATIONS",
    "TELEGRAM",
    "EMAIL",
    "mysql",
];

const SSH: &str =
    "not taken over yet: repositories over SFTP are still to come; files went there unencrypted";
const S3: &str =
    "not taken over yet: repositories in S3 are still to come; files went there unencrypted";
const DATABASE: &str = "not taken over yet: database sources are still to come";
const SMTP: &str = "not taken over yet: notifications by mail are still to come";
const BOT: &str = "not taken over yet: notifications by Telegram are still to come";
const WEBHOOK: &str = "not taken over yet: notifications by webhook are still to come";
const HEARTBEAT: &str = "not taken over yet: heartbeats are still to come";
const TAILSCALE: &str = "not taken over yet: Tailscale before a run is still to come";
const SCHEDULE: &str =
    "not taken over yet: schedules are still to come; until then, let cron or a timer start it";
const HOOKS: &str = "not taken over yet: hooks are still to come, as a list of arguments and not a line for the shell";
const RETENTION: &str = "not taken over yet: it removed folders of the live copy, not old backups; `keepwatch forget` \
    has rules for snapshots";
const UNUSED: &str = "not used: encryption is off, or nothing is backed up to a folder";
const ALWAYS: &str = "always so: what has changed is read, and every snapshot is whole";

/// What becomes of a key; nothing if there is none of that name.
pub(super) fn fate(section: &str, key: &str) -> Option<Fate> {
    use Fate::{NotNeeded, NotYet, Secret};
    Some(match (section, key) {
        ("META", "schema_version") => {
            NotNeeded("the version of the file's form is another one here")
        }
        ("DEFAULT", "source_dir") => {
            NotYet("no folder to back up to is set, so there is no job for it")
        }
        ("DEFAULT", "exclude_patterns") => {
            NotYet("nothing is backed up to a folder, so there is no job for it")
        }
        ("DEFAULT", "mode") => NotNeeded(ALWAYS),
        ("DEFAULT", "compress_type") => {
            NotNeeded("everything is compressed, and zips are not made")
        }
        ("DEFAULT", "parallel_copies") | ("ENCRYPTION", "workers") => {
            NotNeeded("as many threads are used as there are processors")
        }
        ("MODES", "local") => NotNeeded("a job with a folder as its repository says it"),
        ("MODES", "ssh") | ("SSH", "ssh_servers" | "username" | "bandwidth_limit") => NotYet(SSH),
        ("SSH", "password") => Secret("SSH_PASSWORD", SSH),
        ("MODES", "s3")
        | (
            "S3",
            "bucket"
            | "prefix"
            | "region"
            | "max_bandwidth"
            | "multipart_threshold"
            | "max_concurrency",
        ) => NotYet(S3),
        ("S3", "access_key") => Secret("AWS_ACCESS_KEY_ID", S3),
        ("S3", "secret_key") => Secret("AWS_SECRET_ACCESS_KEY", S3),
        ("MODES", "db")
        | (
            "DATABASE",
            "user" | "database" | "host" | "port" | "single_transaction" | "binlog_position",
        ) => NotYet(DATABASE),
        ("DATABASE", "password") => Secret("DB_PASSWORD", DATABASE),
        ("ENCRYPTION", "enabled" | "key_file") => NotNeeded(UNUSED),
        ("ENCRYPTION", "passphrase") => NotNeeded(UNUSED),
        ("SMTP", "host" | "port" | "user" | "from_addr" | "to_addrs" | "use_tls")
        | ("NOTIFICATIONS", "receiver_emails") => NotYet(SMTP),
        ("SMTP", "password") => Secret("SMTP_PASSWORD", SMTP),
        ("EMAIL", "sender_email" | "smtp_host" | "smtp_port") => NotYet(SMTP),
        ("EMAIL", "app_password") => Secret("SMTP_PASSWORD", SMTP),
        ("NOTIFICATIONS", "bot") | ("USERS", "interacted_users") => NotYet(BOT),
        ("TELEGRAM", "api_token") => Secret("TELEGRAM_API_TOKEN", BOT),
        ("WEBHOOK", "url") => Secret("WEBHOOK_URL", WEBHOOK),
        ("WEBHOOK", "auth_header") => Secret("WEBHOOK_AUTH_HEADER", WEBHOOK),
        ("HEARTBEAT", "url") => Secret("HEARTBEAT_URL", HEARTBEAT),
        ("HEARTBEAT", "timeout") => NotYet(HEARTBEAT),
        ("TAILSCALE", "auth_key") => Secret("TAILSCALE_AUTH_KEY", TAILSCALE),
        (
            "TAILSCALE",
            "enabled" | "hostname" | "advertise_tags" | "accept_routes" | "disconnect_after",
        ) => NotYet(TAILSCALE),
        ("DEDUP", "enabled") => NotNeeded("what is alike is stored once, always"),
        ("SCHEDULE", "times") => NotYet(SCHEDULE),
        ("SCHEDULE", "interval_minutes") => NotNeeded("BackupHandler did not use it either"),
        ("HOOKS", "pre_backup" | "post_backup") => NotYet(HOOKS),
        ("RETENTION", "max_age_days" | "max_count") => NotYet(RETENTION),
        ("mysql", "user" | "database") | ("backup", "local_backup_dir") => NotYet(DATABASE),
        ("mysql", "password") => Secret("DB_PASSWORD", DATABASE),
        ("ssh", "host" | "port" | "user" | "remote_backup_dir") => NotYet(SSH),
        ("ssh", "password") => Secret("SSH_PASSWORD", SSH),
        _ => return None,
    })
}
