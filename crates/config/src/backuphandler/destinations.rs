//! Where BackupHandler's backups went: repositories of these places.

use toml::{Table, Value};

use super::ini::IniError;
use super::{FOLDER, Import, NoticeKind, escaped, text};

const KIBI: i64 = 1024;

impl Import<'_> {
    /// The repositories, by name, without what opens them.
    pub(super) fn destinations(&mut self) -> Result<Vec<(String, Table)>, IniError> {
        let mut all = self.local()?;
        all.extend(self.ssh()?);
        all.extend(self.s3()?);
        Ok(all)
    }

    fn local(&mut self) -> Result<Vec<(String, Table)>, IniError> {
        let Some(directories) = self.list("BACKUPS", "backup_dirs")? else {
            return Ok(Vec::new());
        };
        if self.truth("MODES", "local")? != Some(true) {
            let text = "MODES.local is off, so nothing was backed up there";
            self.tell(NoticeKind::NotNeeded, "BACKUPS", "backup_dirs", text);
            return Ok(Vec::new());
        }
        self.tell(
            NoticeKind::Changed,
            "BACKUPS",
            "backup_dirs",
            "is repositories.main.path and so on now: a repository in a folder `keepwatch` beside the old files, \
             made by `keepwatch init`; `keepwatch import backuphandler` brings the old files in. A relative \
             path begins where keepwatch.toml is",
        );
        let named = directories.iter().enumerate().map(|(number, directory)| {
            let path = format!("{}/{FOLDER}", directory.trim_end_matches('/'));
            let repository = Table::from_iter([("path".to_owned(), text(&escaped(&path)))]);
            (numbered("main", number), repository)
        });
        Ok(named.collect())
    }

    fn ssh(&mut self) -> Result<Vec<(String, Table)>, IniError> {
        if self.truth("MODES", "ssh")? != Some(true) {
            self.not_asked("SSH")?;
            return Ok(Vec::new());
        }
        let Some(servers) = self.list("SSH", "ssh_servers")? else {
            return Ok(Vec::new());
        };
        self.tell(
            NoticeKind::Changed,
            "SSH",
            "ssh_servers",
            "is repositories.ssh.path and so on now: a repository in a folder `keepwatch` of the home there, encrypted, \
             made by `keepwatch init`; the key of the host must be known",
        );
        self.tell(
            NoticeKind::Taken,
            "MODES",
            "ssh",
            "repositories.ssh says it",
        );
        let mut remote = Table::new();
        if let Some(user) = self.value("SSH", "username")? {
            remote.insert("user".to_owned(), text(&escaped(&user)));
            let said = "is repositories.ssh.remote.user now";
            self.tell(NoticeKind::Taken, "SSH", "username", said);
        }
        let said =
            "is repositories.ssh.remote.password now, by reference to a variable; a key is better";
        let kind = NoticeKind::Taken;
        if let Some(password) = self.secret("SSH", "password", "SSH_PASSWORD", kind, said)? {
            remote.insert("password".to_owned(), password);
        }
        self.limit(&mut remote, "SSH", "bandwidth_limit", "repositories.ssh")?;
        let named = servers.iter().enumerate().map(|(number, server)| {
            let path = format!("sftp://{server}/~/{FOLDER}");
            let repository = Table::from_iter([
                ("path".to_owned(), text(&escaped(&path))),
                ("remote".to_owned(), Value::Table(remote.clone())),
            ]);
            (numbered("ssh", number), repository)
        });
        Ok(named.collect())
    }

    fn s3(&mut self) -> Result<Vec<(String, Table)>, IniError> {
        if self.truth("MODES", "s3")? != Some(true) {
            self.not_asked("S3")?;
            return Ok(Vec::new());
        }
        let Some(bucket) = self.value("S3", "bucket")? else {
            return Ok(Vec::new());
        };
        let prefix = self.value("S3", "prefix")?.unwrap_or_default();
        let folder = match prefix.trim_matches('/') {
            "" => FOLDER.to_owned(),
            prefix => format!("{prefix}/{FOLDER}"),
        };
        let mut path = format!("s3://{bucket}/{folder}");
        if let Some(region) = self.value("S3", "region")? {
            path.push_str(&format!("?region={region}"));
        }
        let said = "is in repositories.s3.path now: a repository beside the old files, encrypted, made by `keepwatch init`";
        for key in ["bucket", "prefix", "region"] {
            if self.value("S3", key)?.is_some() {
                self.tell(NoticeKind::Changed, "S3", key, said);
            }
        }
        self.tell(NoticeKind::Taken, "MODES", "s3", "repositories.s3 says it");
        let mut remote = Table::new();
        for (key, name, into) in [
            ("access_key", "AWS_ACCESS_KEY_ID", "user"),
            ("secret_key", "AWS_SECRET_ACCESS_KEY", "password"),
        ] {
            let said = "is in repositories.s3.remote now, by reference to a variable";
            if let Some(value) = self.secret("S3", key, name, NoticeKind::Taken, said)? {
                remote.insert(into.to_owned(), value);
            }
        }
        self.limit(&mut remote, "S3", "max_bandwidth", "repositories.s3")?;
        if let Some(count) = self.number("S3", "max_concurrency")? {
            let count = count.clamp(1, 64);
            remote.insert("connections".to_owned(), Value::Integer(count));
            let said = "is repositories.s3.remote.connections now";
            self.tell(NoticeKind::Taken, "S3", "max_concurrency", said);
        }
        if self.value("S3", "multipart_threshold")?.is_some() {
            let said = "what is written at once has the size of a pack";
            self.tell(NoticeKind::NotNeeded, "S3", "multipart_threshold", said);
        }
        let repository = Table::from_iter([
            ("path".to_owned(), text(&escaped(&path))),
            ("remote".to_owned(), Value::Table(remote)),
        ]);
        Ok(vec![("s3".to_owned(), repository)])
    }

    /// Keys of what MODES turns off.
    pub(super) fn not_asked(&mut self, section: &str) -> Result<(), IniError> {
        let keys: Vec<(String, String)> = self.ini.keys().collect();
        for (of, key) in keys {
            if of == section && self.value(section, &key)?.is_some() {
                let said = "not used: MODES turns it off";
                self.tell(NoticeKind::NotNeeded, section, &key, said);
            }
        }
        Ok(())
    }

    /// KiB a second, of which 0 is no limit.
    fn limit(
        &mut self,
        remote: &mut Table,
        section: &str,
        key: &str,
        into: &str,
    ) -> Result<(), IniError> {
        if let Some(limit) = self.number(section, key)? {
            let bytes = Value::Integer(limit.saturating_mul(KIBI));
            remote.insert("upload_limit".to_owned(), bytes);
            let said = format!("is {into}.remote.upload_limit now, in bytes");
            self.tell(NoticeKind::Taken, section, key, &said);
        }
        Ok(())
    }
}

fn numbered(name: &str, number: usize) -> String {
    match number {
        0 => name.to_owned(),
        number => format!("{name}-{}", number + 1),
    }
}
