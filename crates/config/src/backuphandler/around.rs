//! What surrounds BackupHandler's backups: schedule, hooks, retention, and who hears of them.

use toml::{Table, Value};

use super::ini::IniError;
use super::{Import, NoticeKind, escaped, text};

/// The name of what tells by mail, and so on.
const MAIL: &str = "mail";
const WEBHOOK: &str = "webhook";
const TELEGRAM: &str = "telegram";

impl Import<'_> {
    /// Puts into a job what is done around it.
    pub(super) fn around(&mut self, job: &mut Table) -> Result<(), IniError> {
        self.schedule(job)?;
        self.hooks(job)?;
        self.retention(job)?;
        self.heartbeat(job)?;
        self.tailscale(job)?;
        let mut told = Table::new();
        self.webhook(&mut told)?;
        self.mail(&mut told)?;
        self.telegram(&mut told)?;
        if !told.is_empty() {
            self.table.insert("notify".to_owned(), Value::Table(told));
        }
        Ok(())
    }

    fn schedule(&mut self, job: &mut Table) -> Result<(), IniError> {
        let Some(times) = self.list("SCHEDULE", "times")? else {
            return Ok(());
        };
        let times = times.into_iter().map(Value::String).collect();
        let schedule = Table::from_iter([("times".to_owned(), Value::Array(times))]);
        job.insert("schedule".to_owned(), Value::Table(schedule));
        let text = "is jobs.backup.schedule now, for `keepwatch run`; each time counts once, and what was missed is made up for";
        self.tell(NoticeKind::Changed, "SCHEDULE", "times", text);
        Ok(())
    }

    fn hooks(&mut self, job: &mut Table) -> Result<(), IniError> {
        let mut hooks = Table::new();
        for (key, stage, said) in [
            (
                "pre_backup",
                "before",
                "is jobs.backup.hooks.before now, run by `sh -c`; it finds variables KEEPWATCH_… and no passwords in its environment",
            ),
            (
                "post_backup",
                "after",
                "is jobs.backup.hooks.after now, run by `sh -c`; one that fails makes the run one that is only partly done",
            ),
        ] {
            let Some(line) = self.value("HOOKS", key)? else {
                continue;
            };
            let command = ["sh", "-c", &line].map(|part| text(&escaped(part)));
            let hook = Table::from_iter([("command".to_owned(), Value::Array(command.into()))]);
            let list = Value::Array(vec![Value::Table(hook)]);
            hooks.insert(stage.to_owned(), list);
            self.tell(NoticeKind::Changed, "HOOKS", key, said);
        }
        if !hooks.is_empty() {
            job.insert("hooks".to_owned(), Value::Table(hooks));
        }
        Ok(())
    }

    fn retention(&mut self, job: &mut Table) -> Result<(), IniError> {
        let mut keep = Table::new();
        let said = "is jobs.backup.keep now: it forgets old snapshots, where BackupHandler removed folders of the live copy";
        if let Some(days) = self.number("RETENTION", "max_age_days")? {
            keep.insert("max_age".to_owned(), text(&format!("{days}d")));
            self.tell(NoticeKind::Changed, "RETENTION", "max_age_days", said);
        }
        if let Some(count) = self.number("RETENTION", "max_count")? {
            keep.insert("max_count".to_owned(), Value::Integer(count));
            self.tell(NoticeKind::Changed, "RETENTION", "max_count", said);
        }
        if !keep.is_empty() {
            job.insert("keep".to_owned(), Value::Table(keep));
            job.insert("prune".to_owned(), Value::Boolean(true));
        }
        Ok(())
    }

    fn heartbeat(&mut self, job: &mut Table) -> Result<(), IniError> {
        let said = "is jobs.backup.heartbeat now, by reference to a variable; it hears of starts and failures as well, at /start and /fail";
        let url = self.secret(
            "HEARTBEAT",
            "url",
            "HEARTBEAT_URL",
            NoticeKind::Changed,
            said,
        )?;
        if let Some(url) = url {
            let heartbeat = Table::from_iter([("url".to_owned(), url)]);
            job.insert("heartbeat".to_owned(), Value::Table(heartbeat));
        }
        Ok(())
    }

    fn tailscale(&mut self, job: &mut Table) -> Result<(), IniError> {
        if self.truth("TAILSCALE", "enabled")? != Some(true) {
            return self.not_asked("TAILSCALE");
        }
        let mut tailscale = Table::new();
        let said = "is jobs.backup.tailscale now";
        self.tell(NoticeKind::Taken, "TAILSCALE", "enabled", said);
        let (name, kind) = ("TAILSCALE_AUTH_KEY", NoticeKind::Taken);
        let by = "is jobs.backup.tailscale.auth_key now, by reference to a variable";
        if let Some(key) = self.secret("TAILSCALE", "auth_key", name, kind, by)? {
            tailscale.insert("auth_key".to_owned(), key);
        }
        if let Some(host) = self.value("TAILSCALE", "hostname")? {
            tailscale.insert("hostname".to_owned(), text(&escaped(&host)));
            self.tell(NoticeKind::Taken, "TAILSCALE", "hostname", said);
        }
        for key in ["accept_routes", "disconnect_after"] {
            if let Some(on) = self.truth("TAILSCALE", key)? {
                tailscale.insert(key.to_owned(), Value::Boolean(on));
                self.tell(NoticeKind::Taken, "TAILSCALE", key, said);
            }
        }
        job.insert("tailscale".to_owned(), Value::Table(tailscale));
        Ok(())
    }

    fn webhook(&mut self, told: &mut Table) -> Result<(), IniError> {
        let said = "is notify.webhook now, by reference to a variable; it sends another JSON, which `template` shapes, and there are kinds of their own for Slack, Discord and Teams";
        let url = self.secret("WEBHOOK", "url", "WEBHOOK_URL", NoticeKind::Changed, said)?;
        let Some(url) = url else {
            return Ok(());
        };
        let mut target = target("webhook");
        target.insert("url".to_owned(), url);
        let said = "is notify.webhook.headers.Authorization now, by reference to a variable";
        let name = "WEBHOOK_AUTH_HEADER";
        let header = self.secret("WEBHOOK", "auth_header", name, NoticeKind::Taken, said)?;
        if let Some(header) = header {
            let headers = Table::from_iter([("Authorization".to_owned(), header)]);
            target.insert("headers".to_owned(), Value::Table(headers));
        }
        told.insert(WEBHOOK.to_owned(), Value::Table(target));
        Ok(())
    }

    fn mail(&mut self, told: &mut Table) -> Result<(), IniError> {
        let Some(host) = self.value("SMTP", "host")? else {
            return Ok(());
        };
        let receivers = match self.list("SMTP", "to_addrs")? {
            Some(receivers) => {
                self.tell(
                    NoticeKind::Taken,
                    "SMTP",
                    "to_addrs",
                    "is notify.mail.receivers now",
                );
                receivers
            }
            None => match self.list("NOTIFICATIONS", "receiver_emails")? {
                Some(receivers) => {
                    let text = "is notify.mail.receivers now";
                    self.tell(NoticeKind::Taken, "NOTIFICATIONS", "receiver_emails", text);
                    receivers
                }
                None => return Ok(()),
            },
        };
        let user = self.value("SMTP", "user")?;
        let Some(sender) = self.value("SMTP", "from_addr")?.or_else(|| user.clone()) else {
            return Ok(());
        };
        let mut target = target("smtp");
        target.insert("host".to_owned(), text(&escaped(&host)));
        let encrypted = self.truth("SMTP", "use_tls")? != Some(false);
        target.insert(
            "security".to_owned(),
            text(if encrypted { "starttls" } else { "none" }),
        );
        if let Some(port) = self.number("SMTP", "port")? {
            target.insert("port".to_owned(), Value::Integer(port));
            self.tell(NoticeKind::Taken, "SMTP", "port", "is notify.mail.port now");
        }
        target.insert("sender".to_owned(), text(&escaped(&sender)));
        let receivers = receivers.iter().map(|to| text(&escaped(to))).collect();
        target.insert("receivers".to_owned(), Value::Array(receivers));
        let said = "is in notify.mail now";
        for key in ["host", "from_addr"] {
            if self.value("SMTP", key)?.is_some() {
                self.tell(NoticeKind::Taken, "SMTP", key, said);
            }
        }
        if self.value("SMTP", "use_tls")?.is_some() {
            let said = match encrypted {
                true => {
                    "is notify.mail.security now: no mail goes out where the server cannot encrypt"
                }
                false => {
                    "is notify.mail.security now: without encryption only a server on this machine is told"
                }
            };
            self.tell(NoticeKind::Changed, "SMTP", "use_tls", said);
        }
        if let Some(user) = user {
            target.insert("user".to_owned(), text(&escaped(&user)));
            self.tell(NoticeKind::Taken, "SMTP", "user", said);
            let said = "is notify.mail.password now, by reference to a variable";
            let name = "SMTP_PASSWORD";
            let password = self.secret("SMTP", "password", name, NoticeKind::Taken, said)?;
            if let Some(password) = password {
                target.insert("password".to_owned(), password);
            }
        }
        told.insert(MAIL.to_owned(), Value::Table(target));
        Ok(())
    }

    /// A file of its own, which `bot_config.ini` is in BackupHandler.
    fn telegram(&mut self, told: &mut Table) -> Result<(), IniError> {
        let Some(chats) = self.list("USERS", "interacted_users")? else {
            return Ok(());
        };
        let said = "is the token of notify.telegram now, by reference to a variable";
        let name = "TELEGRAM_API_TOKEN";
        let token = self.secret("TELEGRAM", "api_token", name, NoticeKind::Taken, said)?;
        let Some(token) = token else {
            return Ok(());
        };
        for (number, chat) in chats.iter().enumerate() {
            let mut target = target("telegram");
            target.insert("token".to_owned(), token.clone());
            target.insert("chat".to_owned(), text(&escaped(chat)));
            let name = match number {
                0 => TELEGRAM.to_owned(),
                number => format!("{TELEGRAM}-{}", number + 1),
            };
            told.insert(name, Value::Table(target));
        }
        let said = "is the chat of notify.telegram and so on now";
        self.tell(NoticeKind::Taken, "USERS", "interacted_users", said);
        Ok(())
    }
}

/// BackupHandler told of successes as well.
fn target(kind: &str) -> Table {
    Table::from_iter([
        ("kind".to_owned(), text(kind)),
        ("from".to_owned(), text("success")),
    ])
}
