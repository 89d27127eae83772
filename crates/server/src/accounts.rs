//! Users, their sessions and tokens, kept encrypted in the event store.
//!
//! [`Accounts`] is the one that knows all of them. Each change is written before it counts, and what
//! another process has changed is read again. Secrets are kept as hashes only: passwords as
//! Argon2id, everything that is random as BLAKE3.

mod book;
mod guess;
mod manage;
mod password;
mod second_factor;
mod secret;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};
use keepwatch_core::events::{PrivateStamp, Store};

use crate::permission::{Permissions, Role};
use crate::principal::{Kind, Principal};

pub(crate) use book::{Book, Session, Token, User};
pub(crate) use guess::{Wait, network};
pub(crate) use manage::{NewToken, UserChange};
pub(crate) use password::{Cost, Hasher};
pub(crate) use second_factor::Enrolment;
pub(crate) use secret::{Digest, Secret};

/// The private file of the store that holds them.
const FILE: &str = "accounts";

/// How long a session lasts that nobody uses, and at most.
const SESSION_IDLE: SignedDuration = SignedDuration::from_hours(24 * 7);
const SESSION_LONGEST: SignedDuration = SignedDuration::from_hours(24 * 30);

/// When somebody was last there is written at most so often.
const SEEN_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// How often it is looked whether another process has changed the file.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// The most of one user.
const MAX_SESSIONS_OF_ONE: usize = 50;

/// What tells the time.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Why something cannot be done with accounts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    /// Neither user nor password are told apart.
    #[error("wrong user or password")]
    Wrong,
    /// The password is right.
    #[error("a code of the second factor is needed")]
    CodeNeeded,
    #[error("wrong code")]
    WrongCode,
    /// Too many wrong ones came before.
    #[error("too many attempts")]
    Wait(Wait),
    #[error("{what} not found")]
    NotThere { what: &'static str },
    #[error("{0}")]
    Conflict(&'static str),
    #[error("{field}: {problem}")]
    Value {
        field: &'static str,
        problem: String,
    },
    #[error(transparent)]
    Store(#[from] keepwatch_core::Error),
}

pub(crate) type Result<T, E = AccountError> = std::result::Result<T, E>;

/// Users, sessions and tokens.
pub(crate) struct Accounts {
    store: Arc<Store>,
    now: Clock,
    hasher: Hasher,
    known: RwLock<Known>,
    looked: Mutex<Timestamp>,
    /// Makes the first user, once.
    setup: Mutex<Option<Secret>>,
    /// Who was there, which is still to be written down.
    used: Mutex<Vec<Digest>>,
    /// Wrong passwords by account and by address.
    guesses: guess::Guesses,
    /// Second factors that were begun and not confirmed.
    begun: second_factor::Begun,
}

/// What was read last.
struct Known {
    book: Book,
    stamp: Option<PrivateStamp>,
}

/// A session that was begun, and the secret of its cookie.
pub(crate) struct LoggedIn {
    pub secret: Secret,
    pub principal: Principal,
}

/// Who asks to be let in.
pub(crate) struct Attempt<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub code: Option<&'a str>,
    pub from: From<'a>,
}

/// Where a request comes from.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    pub address: std::net::IpAddr,
    pub agent: &'a str,
}

impl Accounts {
    /// Reads them.
    pub fn open(store: Arc<Store>, hasher: Hasher, now: Clock) -> Result<Self> {
        let known = read(&store)?;
        let looked = Mutex::new(now());
        let guesses = guess::Guesses::recall(&store, now())?;
        let accounts = Self {
            store,
            now,
            hasher,
            known: RwLock::new(known),
            looked,
            setup: Mutex::new(None),
            used: Mutex::default(),
            guesses,
            begun: second_factor::Begun::default(),
        };
        if accounts.needs_setup() {
            let code = Secret::code().map_err(keepwatch_core::Error::from)?;
            *accounts.setup_code_lock() = Some(code);
        }
        Ok(accounts)
    }

    /// Whether nobody can log in yet.
    pub fn needs_setup(&self) -> bool {
        self.with(|book| book.users.is_empty())
    }

    /// The code that makes the first user, if there is none; for the terminal of the server.
    pub fn setup_code(&self) -> Option<String> {
        let code = self.setup_code_lock();
        code.as_ref().map(|code| code.expose().to_owned())
    }

    fn setup_code_lock(&self) -> std::sync::MutexGuard<'_, Option<Secret>> {
        self.setup.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the first admin, and logs in.
    pub fn set_up(
        &self,
        code: &str,
        user: &str,
        password: &str,
        from: From<'_>,
    ) -> Result<LoggedIn> {
        let now = (self.now)();
        self.guesses.check("", from.address, now)?;
        let right = self
            .setup_code_lock()
            .as_ref()
            .is_some_and(|own| own.is(code.trim()));
        if !right || !self.needs_setup() {
            self.guesses.wrong("", from.address, now);
            return Err(AccountError::Wrong);
        }
        let hash = self.new_hash(password)?;
        let user = checked_name("user", user)?;
        self.change(|book| {
            if !book.users.is_empty() {
                return Err(AccountError::Conflict("there is a user already"));
            }
            book.users
                .push(User::new(user.clone(), hash, Role::Admin, None, now));
            Ok(())
        })?;
        *self.setup_code_lock() = None;
        self.begin_session(&user, from)
    }

    /// Logs in. A wrong password, also of nobody, takes as long as a right one.
    pub fn log_in(&self, attempt: &Attempt<'_>) -> Result<LoggedIn> {
        let now = (self.now)();
        let Attempt {
            user,
            password,
            code,
            from,
        } = *attempt;
        self.guesses.check(user, from.address, now)?;
        // Somebody may have been added on the machine just now: it costs less than looking at a password.
        self.look_now();
        let found = self.with(|book| book.user(user).cloned());
        let right = self
            .hasher
            .verify(found.as_ref().map(|user| user.password.as_str()), password);
        let Some(found) = found.filter(|user| right && !user.disabled) else {
            self.guesses.wrong(user, from.address, now);
            return Err(AccountError::Wrong);
        };
        if let Some(factor) = &found.totp {
            let Some(code) = code.filter(|code| !code.trim().is_empty()) else {
                return Err(AccountError::CodeNeeded);
            };
            let used = factor.check(code, now);
            let used = match used {
                Some(used) => self.change(|book| {
                    let user = book.user_mut(&found.name)?;
                    // Of two that come with the same code, one is let in.
                    user.totp
                        .as_mut()
                        .is_some_and(|factor| factor.take(&used))
                        .then_some(())
                        .ok_or(AccountError::WrongCode)
                }),
                None => Err(AccountError::WrongCode),
            };
            if let Err(error) = used {
                self.guesses.wrong(user, from.address, now);
                return Err(error);
            }
        }
        self.guesses.right(user, from.address);
        self.begin_session(&found.name, from)
    }

    fn begin_session(&self, user: &str, from: From<'_>) -> Result<LoggedIn> {
        let now = (self.now)();
        let secret = Secret::random().map_err(keepwatch_core::Error::from)?;
        let session = Session {
            id: secret::id().map_err(keepwatch_core::Error::from)?,
            hash: secret.digest(),
            user: user.to_owned(),
            created_at: now,
            last_used_at: now,
            address: from.address.to_string(),
            agent: from.agent.chars().take(200).collect(),
        };
        let principal = self.change(|book| {
            let lives = |session: &Session| session.lives(now);
            book.sessions.retain(lives);
            let own = book
                .sessions
                .iter()
                .filter(|other| other.user == user)
                .count();
            if own >= MAX_SESSIONS_OF_ONE
                && let Some(oldest) = book.sessions.iter().position(|other| other.user == user)
            {
                book.sessions.remove(oldest);
            }
            let owner = book.user_mut(user)?;
            owner.last_login_at = Some(now);
            let principal = principal_of_session(owner, &session, &secret);
            book.sessions.push(session);
            Ok(principal)
        })?;
        Ok(LoggedIn { secret, principal })
    }

    /// Whose session has this secret, as far as it is known: see [`Accounts::is_behind`].
    pub fn of_session(&self, secret: &Secret) -> Option<Principal> {
        let now = (self.now)();
        let digest = secret.digest();
        let (principal, stale) = self.with(|book| {
            let session = book
                .sessions
                .iter()
                .find(|session| session.hash == digest)?;
            let user = book.user(&session.user).filter(|user| !user.disabled)?;
            let stale = now.duration_since(session.last_used_at) >= SEEN_EVERY;
            session
                .lives(now)
                .then(|| (principal_of_session(user, session, secret), stale))
        })?;
        if stale {
            self.used().push(digest);
        }
        Some(principal)
    }

    /// Whose token it is, as far as it is known: see [`Accounts::is_behind`].
    pub fn of_token(&self, secret: &Secret) -> Option<Principal> {
        let now = (self.now)();
        let digest = secret.digest();
        let (principal, stale) = self.with(|book| {
            let token = book.tokens.iter().find(|token| token.hash == digest)?;
            let user = book.user(&token.user).filter(|user| !user.disabled)?;
            let stale = token
                .last_used_at
                .is_none_or(|at| now.duration_since(at) >= SEEN_EVERY);
            token
                .lives(now)
                .then(|| (principal_of_token(user, token), stale))
        })?;
        if stale {
            self.used().push(digest);
        }
        Some(principal)
    }

    fn used(&self) -> std::sync::MutexGuard<'_, Vec<Digest>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is something to be done that waits for the store, by [`Accounts::catch_up`]:
    /// who asks whose session or token it is may not wait.
    pub fn is_behind(&self) -> bool {
        let now = (self.now)();
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        now.duration_since(looked).abs() >= LOOK_EVERY || !self.used().is_empty()
    }

    /// Reads what another process has changed, and writes down who was there.
    pub fn catch_up(&self) {
        self.look();
        let used = std::mem::take(&mut *self.used());
        if used.is_empty() {
            return;
        }
        let now = (self.now)();
        self.note_seen(|book| {
            for session in &mut book.sessions {
                if used.contains(&session.hash) {
                    session.last_used_at = now;
                }
            }
            for token in &mut book.tokens {
                if used.contains(&token.hash) {
                    token.last_used_at = Some(now);
                }
            }
        });
    }

    /// When somebody was there is good to know, and no reason to refuse anything.
    fn note_seen(&self, change: impl FnOnce(&mut Book)) {
        let noted = self.change(|book| {
            change(book);
            Ok(())
        });
        if let Err(error) = noted {
            tracing::warn!(%error, "cannot write down when an account was used");
        }
    }

    /// Ends a session of a user.
    pub fn end_session(&self, user: &str, id: &str) -> Result<()> {
        self.change(|book| {
            let before = book.sessions.len();
            book.sessions
                .retain(|session| session.user != user || session.id != id);
            match book.sessions.len() < before {
                true => Ok(()),
                false => Err(AccountError::NotThere { what: "Session" }),
            }
        })
    }

    /// The sessions of a user, the latest first.
    pub fn sessions_of(&self, user: &str) -> Vec<Session> {
        let now = (self.now)();
        let mut sessions = self.with(|book| {
            let own = |session: &&Session| session.user == user && session.lives(now);
            book.sessions
                .iter()
                .filter(own)
                .cloned()
                .collect::<Vec<_>>()
        });
        sessions.reverse();
        sessions
    }

    /// A user of this name.
    pub fn user(&self, name: &str) -> Option<User> {
        self.with(|book| book.user(name).cloned())
    }

    /// All users.
    pub fn users(&self) -> Vec<User> {
        self.with(|book| book.users.clone())
    }

    /// Changes one's own password; other sessions end.
    pub fn change_password(
        &self,
        user: &str,
        keep: &str,
        old: &str,
        new: &str,
        from: From<'_>,
    ) -> Result<()> {
        self.check_password(user, old, from)?;
        let hash = self.new_hash(new)?;
        self.change(|book| {
            book.user_mut(user)?.password = hash;
            book.sessions
                .retain(|session| session.user != user || session.id == keep);
            Ok(())
        })
    }

    /// Whether it is the password of a user who is logged in.
    pub fn check_password(&self, user: &str, password: &str, from: From<'_>) -> Result<()> {
        let now = (self.now)();
        self.guesses.check(user, from.address, now)?;
        let hash = self.with(|book| book.user(user).map(|user| user.password.clone()));
        if self.hasher.verify(hash.as_deref(), password) {
            return Ok(());
        }
        self.guesses.wrong(user, from.address, now);
        Err(AccountError::Wrong)
    }

    /// Begins a second factor, which counts once it is confirmed.
    pub fn begin_totp(&self, user: &str) -> Result<Enrolment> {
        self.begun.begin(user, (self.now)())
    }

    /// Confirms it with a first code; gives the recovery codes, which are shown this once.
    pub fn confirm_totp(&self, user: &str, code: &str) -> Result<Vec<String>> {
        let (factor, codes) = self.begun.confirm(user, code, (self.now)())?;
        self.change(|book| {
            book.user_mut(user)?.totp = Some(factor);
            Ok(())
        })?;
        self.begun.forget(user);
        Ok(codes)
    }

    /// Ends the second factor of a user.
    pub fn remove_totp(&self, user: &str) -> Result<()> {
        self.change(|book| {
            book.user_mut(user)?.totp = None;
            Ok(())
        })
    }

    fn new_hash(&self, password: &str) -> Result<String> {
        self.hasher.hash(password)
    }

    fn with<T>(&self, f: impl FnOnce(&Book) -> T) -> T {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        f(&known.book)
    }

    /// Changes the file, and then what is known of it.
    fn change<T>(&self, change: impl FnOnce(&mut Book) -> Result<T>) -> Result<T> {
        let mut said = None;
        let mut book = None;
        self.store.change_private(FILE, |bytes| -> Result<_> {
            let mut now = Book::parse(bytes)?;
            said = Some(change(&mut now)?);
            let bytes = now.to_bytes();
            book = Some(now);
            Ok(Some(bytes))
        })?;
        let stamp = self.store.private_stamp(FILE)?;
        let book = book.expect("it was changed");
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known { book, stamp };
        Ok(said.expect("it was changed"))
    }

    /// Reads the file again if another process has changed it.
    fn look(&self) {
        let now = (self.now)();
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if now.duration_since(*looked).abs() < LOOK_EVERY {
                return;
            }
            *looked = now;
        }
        self.look_now();
    }

    fn look_now(&self) {
        let changed = || -> Result<Option<Known>> {
            let stamp = self.store.private_stamp(FILE)?;
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if stamp == known.stamp {
                return Ok(None);
            }
            read(&self.store).map(Some)
        };
        match changed() {
            Ok(None) => {}
            Ok(Some(new)) => {
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = new;
            }
            // What was known before stays in force.
            Err(error) => tracing::error!(%error, "cannot read the accounts again"),
        }
    }
}

fn read(store: &Store) -> Result<Known> {
    let stamp = store.private_stamp(FILE)?;
    let bytes = store.read_private(FILE)?;
    let book = Book::parse(bytes.as_ref().map(|bytes| bytes.as_slice()))?;
    Ok(Known { book, stamp })
}

fn checked_name(field: &'static str, name: &str) -> Result<String> {
    let plain = |c: char| c.is_alphanumeric() || "._-@+".contains(c);
    let good = (1..=64).contains(&name.chars().count()) && name.chars().all(plain);
    good.then(|| name.to_owned())
        .ok_or_else(|| AccountError::Value {
            field,
            problem: "it must be 1 to 64 letters, digits, `.`, `_`, `-`, `@` and `+`".to_owned(),
        })
}

fn principal_of_session(user: &User, session: &Session, secret: &Secret) -> Principal {
    Principal {
        name: user.name.clone(),
        user: Some(user.name.clone()),
        role: Some(user.role),
        kind: Kind::Session {
            id: session.id.clone(),
            csrf: secret.csrf(),
        },
        permissions: user.role.permissions(),
        cameras: user.cameras.clone().map(Arc::new),
    }
}

fn principal_of_token(user: &User, token: &Token) -> Principal {
    let asked: Permissions = token.permissions.iter().copied().collect();
    let cameras = match (&user.cameras, &token.cameras) {
        (Some(user), Some(token)) => Some(user.intersection(token).cloned().collect()),
        (some, None) | (None, some) => some.clone(),
    };
    Principal {
        name: format!("{}/{}", user.name, token.name),
        user: Some(user.name.clone()),
        role: Some(user.role),
        kind: Kind::Token,
        permissions: asked.and(user.role.permissions()),
        cameras: cameras.map(Arc::new),
    }
}

#[cfg(test)]
mod tests;
