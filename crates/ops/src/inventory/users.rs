//! Whose homes are looked at.

use super::collect::Look;
use super::model::{ProblemKind, User};
use super::text::{lines, name};
use super::{Error, Result};

const PASSWD: &[u8] = b"/etc/passwd";
/// Users with a number from here on are people; see login.defs(5).
const FIRST_PERSON: u32 = 1000;
/// `systemd` and Debian give numbers from here on to other things.
const LAST_PERSON: u32 = 59_999;

/// Whose homes to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Users {
    /// Root and every person in the system's `etc/passwd`.
    #[default]
    Everybody,
    /// These in the system's `etc/passwd`.
    Named(Vec<String>),
    /// These, wherever they come from.
    These(Vec<User>),
}

pub(super) fn users_of(look: &Look<'_>, users: &Users) -> Result<Vec<User>> {
    if let Users::These(users) = users {
        return Ok(users.clone());
    }
    let passwd = look.read_list("users", PASSWD).unwrap_or_default();
    let known = parse_passwd(&passwd);
    match users {
        Users::Named(names) => names
            .iter()
            .map(|wanted| {
                let found = known
                    .iter()
                    .find(|(_, user)| user.name.0 == wanted.as_bytes());
                let found = found.map(|(_, user)| user.clone());
                found.ok_or_else(|| Error::NoSuchUser {
                    name: wanted.clone(),
                })
            })
            .collect(),
        _ => {
            let mut people: Vec<User> = known
                .into_iter()
                .filter(|(id, _)| *id == 0 || (FIRST_PERSON..=LAST_PERSON).contains(id))
                .map(|(_, user)| user)
                .collect();
            people.sort();
            // Several names for one number are usual for root, and give one home.
            people.dedup_by(|b, a| a.home == b.home);
            if people.is_empty() && look.system.is_running() {
                look.problem(
                    "users",
                    ProblemKind::Malformed,
                    PASSWD,
                    "there is nobody in it",
                );
            }
            Ok(people)
        }
    }
}

/// Numbers and users; lines that are none are passed over.
pub(super) fn parse_passwd(bytes: &[u8]) -> Vec<(u32, User)> {
    let parse = |line: &[u8]| {
        let mut fields = line.split(|&byte| byte == b':');
        let (user, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        let home = fields.nth(2)?;
        let id = std::str::from_utf8(id).ok()?.parse().ok()?;
        let user = User {
            name: name(user),
            home: name(home),
        };
        (!user.name.0.is_empty() && home.starts_with(b"/") && home != b"/").then_some((id, user))
    };
    lines(bytes).filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_have_a_number_and_a_home() {
        let passwd = b"root:x:0:0:root:/root:/bin/bash\n\
            daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
            ada:x:1000:1000:Ada,,,:/home/ada:/bin/zsh\n\
            broken:x\n:x:1001:1:::\nroaming:x:1002:1::relative:/bin/sh\n";
        let users = parse_passwd(passwd);
        let names: Vec<(u32, String)> = users
            .iter()
            .map(|(id, user)| (*id, user.name.to_string()))
            .collect();
        let expected = [(0, "root"), (1, "daemon"), (1000, "ada")];
        assert_eq!(names, expected.map(|(id, name)| (id, name.to_owned())));
        assert_eq!(users[2].1.home, name("/home/ada"));
    }
}
