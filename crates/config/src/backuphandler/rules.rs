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

const NO_JOB: &str = "no job is made, since there is nothing to back up or no place for it";
const NO_PLACE: &str = "not taken over: SSH.ssh_servers or S3.bucket says where to, and is missing";
const DATABASE: &str =
    "not taken over: DATABASE.database names none, or this is db_config.ini: put it into DATABASE";
const MAIL: &str =
    "not taken over yet: a mail needs a server, a sender and receivers, as keys of SMTP";
const BOT: &str = "not taken over yet: a bot needs TELEGRAM.api_token and USERS.interacted_users, in bot_config.ini";
const HEARTBEAT: &str = "a message may take half a minute";
const TAILSCALE: &str = "not taken over: an auth key brings its tags with it";
const OLD_SSH: &str = "not taken over yet: put it into SSH";
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
        ("MODES", "ssh") => NotYet(NO_JOB),
        ("SSH", "ssh_servers" | "username" | "bandwidth_limit") => NotYet(NO_PLACE),
        ("SSH", "password") => Secret("SSH_PASSWORD", NO_PLACE),
        ("MODES", "s3") => NotYet(NO_JOB),
        (
            "S3",
            "bucket"
            | "prefix"
            | "region"
            | "max_bandwidth"
            | "multipart_threshold"
            | "max_concurrency",
        ) => NotYet(NO_PLACE),
        ("S3", "access_key") => Secret("AWS_ACCESS_KEY_ID", NO_PLACE),
        ("S3", "secret_key") => Secret("AWS_SECRET_ACCESS_KEY", NO_PLACE),
        ("MODES", "db")
        | (
            "DATABASE",
            "user" | "database" | "host" | "port" | "single_transaction" | "binlog_position",
        ) => NotYet(DATABASE),
        ("DATABASE", "password") => Secret("DB_PASSWORD", DATABASE),
        ("ENCRYPTION", "enabled" | "key_file") => NotNeeded(UNUSED),
        ("ENCRYPTION", "passphrase") => NotNeeded(UNUSED),
        ("SMTP", "host" | "port" | "user" | "from_addr" | "to_addrs" | "use_tls")
        | ("NOTIFICATIONS", "receiver_emails") => NotYet(MAIL),
        ("SMTP", "password") => Secret("SMTP_PASSWORD", MAIL),
        ("EMAIL", "sender_email" | "smtp_host" | "smtp_port") => NotYet(MAIL),
        ("EMAIL", "app_password") => Secret("SMTP_PASSWORD", MAIL),
        ("NOTIFICATIONS", "bot") | ("USERS", "interacted_users") => NotYet(BOT),
        ("TELEGRAM", "api_token") => Secret("TELEGRAM_API_TOKEN", BOT),
        ("WEBHOOK", "url") => Secret("WEBHOOK_URL", NO_JOB),
        ("WEBHOOK", "auth_header") => Secret("WEBHOOK_AUTH_HEADER", NO_JOB),
        ("HEARTBEAT", "url") => Secret("HEARTBEAT_URL", NO_JOB),
        ("HEARTBEAT", "timeout") => NotNeeded(HEARTBEAT),
        ("TAILSCALE", "auth_key") => Secret("TAILSCALE_AUTH_KEY", TAILSCALE),
        (
            "TAILSCALE",
            "enabled" | "hostname" | "advertise_tags" | "accept_routes" | "disconnect_after",
        ) => NotYet(TAILSCALE),
        ("DEDUP", "enabled") => NotNeeded("what is alike is stored once, always"),
        ("SCHEDULE", "times") => NotYet(NO_JOB),
        ("SCHEDULE", "interval_minutes") => NotNeeded("BackupHandler did not use it either"),
        ("HOOKS", "pre_backup" | "post_backup") => NotYet(NO_JOB),
        ("RETENTION", "max_age_days" | "max_count") => NotYet(NO_JOB),
        ("mysql", "user" | "database") | ("backup", "local_backup_dir") => NotYet(DATABASE),
        ("mysql", "password") => Secret("DB_PASSWORD", DATABASE),
        ("ssh", "host" | "port" | "user" | "remote_backup_dir") => NotYet(OLD_SSH),
        ("ssh", "password") => Secret("SSH_PASSWORD", OLD_SSH),
        _ => return None,
    })
}
