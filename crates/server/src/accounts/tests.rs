use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use keepwatch_core::crypto::{Credential, Key, Lock};
use keepwatch_core::events::{StoreOptions, StoreRole};

use super::password::Cost;
use super::second_factor::code_at;
use super::*;
use crate::permission::{Permission, Role};

const PASSWORD: &str = "correct horse battery";

struct Bench {
    folder: tempfile::TempDir,
    key: Key,
    time: Arc<AtomicI64>,
}

fn from() -> From<'static> {
    From {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        agent: "a browser",
    }
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = Key::generate().expect("random bytes");
        let lock = Lock::KeyFile(&key);
        Store::create(
            &folder.path().join("store"),
            &[(lock, StoreRole::Full)],
            &StoreOptions::default(),
        )
        .expect("it can be made");
        let time = Arc::new(AtomicI64::new(1_800_000_000));
        Self { folder, key, time }
    }

    fn open(&self) -> Accounts {
        let path: &Path = self.folder.path();
        let credential = Credential::KeyFile(self.key.clone());
        let store = Store::open(&path.join("store"), &credential).expect("it opens");
        let time = self.time.clone();
        let clock = move || Timestamp::from_second(time.load(Ordering::Relaxed)).expect("a time");
        let cost = Cost {
            memory_kib: 64,
            passes: 1,
        };
        Accounts::open(Arc::new(store), Hasher::new(cost), Arc::new(clock)).expect("it opens")
    }

    fn pass(&self, seconds: i64) {
        self.time.fetch_add(seconds, Ordering::Relaxed);
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.time.load(Ordering::Relaxed)).expect("a time")
    }
}

fn set_up(accounts: &Accounts) -> LoggedIn {
    let code = accounts.setup_code().expect("nobody is there");
    accounts
        .set_up(&code, "ada", PASSWORD, from())
        .expect("the code is right")
}

fn log_in(accounts: &Accounts, user: &str, password: &str, code: Option<&str>) -> Result<LoggedIn> {
    accounts.log_in(&Attempt {
        user,
        password,
        code,
        from: from(),
    })
}

#[test]
fn the_first_user_needs_the_code_and_is_the_last_who_can_use_it() {
    let bench = Bench::new();
    let accounts = bench.open();
    let code = accounts.setup_code().expect("nobody is there");
    assert!(matches!(
        accounts.set_up("AAAA-AAAA-AAAA-AAAA", "eve", PASSWORD, from()),
        Err(AccountError::Wrong)
    ));
    let ada = set_up(&accounts);
    assert_eq!(ada.principal.role, Some(Role::Admin));
    assert!(!accounts.needs_setup() && accounts.setup_code().is_none());
    assert!(accounts.set_up(&code, "eve", PASSWORD, from()).is_err());
    // After a restart nothing of it is left.
    drop(accounts);
    let accounts = bench.open();
    assert!(accounts.setup_code().is_none());
    assert!(accounts.set_up(&code, "eve", PASSWORD, from()).is_err());
    assert!(log_in(&accounts, "ada", PASSWORD, None).is_ok());
}

#[test]
fn sessions_outlive_a_restart_and_end_when_they_should() {
    let bench = Bench::new();
    let accounts = bench.open();
    let first = set_up(&accounts).secret;
    drop(accounts);
    let accounts = bench.open();
    assert!(accounts.of_session(&first).is_some());
    assert!(
        accounts
            .of_session(&Secret::random().expect("random"))
            .is_none()
    );
    // Used every day it lasts, but not for ever.
    for _ in 0..29 {
        bench.pass(86_400);
        assert!(accounts.of_session(&first).is_some());
        assert!(accounts.is_behind(), "it is to be written down");
        accounts.catch_up();
        assert!(!accounts.is_behind());
    }
    bench.pass(86_400);
    assert!(accounts.of_session(&first).is_none());
    let second = log_in(&accounts, "ada", PASSWORD, None)
        .expect("it is right")
        .secret;
    bench.pass(7 * 86_400);
    assert!(accounts.of_session(&second).is_none(), "nobody used it");
    let third = log_in(&accounts, "ada", PASSWORD, None).expect("it is right");
    let Kind::Session { id, csrf } = &third.principal.kind else {
        panic!("it is a session");
    };
    assert_eq!(*csrf, third.secret.csrf());
    assert!(accounts.end_session("eve", id).is_err());
    accounts.end_session("ada", id).expect("it is there");
    assert!(accounts.of_session(&third.secret).is_none());
}

#[test]
fn secrets_are_in_no_file_and_no_debug() {
    let bench = Bench::new();
    let accounts = bench.open();
    let ada = set_up(&accounts);
    let (token, secret) = accounts
        .add_token(NewToken {
            name: "script".to_owned(),
            user: "ada".to_owned(),
            permissions: vec![Permission::EventsRead],
            cameras: None,
            expires_at: None,
        })
        .expect("a token");
    let enrolment = accounts.begin_totp("ada").expect("it begins");
    let codes = accounts
        .confirm_totp("ada", &code_at(&enrolment.uri, bench.now()))
        .expect("right");
    let bytes = accounts
        .store
        .read_private(FILE)
        .expect("it is there")
        .expect("it is there");
    let text = String::from_utf8(bytes.to_vec()).expect("it is JSON");
    let debug = format!(
        "{:?} {:?} {:?} {token:?}",
        accounts.users(),
        ada.secret,
        secret
    );
    for secret in [
        PASSWORD,
        ada.secret.expose(),
        secret.expose(),
        &codes[0],
        &enrolment.secret,
    ] {
        assert!(!text.contains(secret));
        assert!(!debug.contains(secret));
    }
    let raw = std::fs::read(bench.folder.path().join("store/private/accounts")).expect("a file");
    assert!(!raw.windows(3).any(|window| window == b"ada"));
}

#[test]
fn wrong_passwords_make_wait_and_tell_nothing() {
    let bench = Bench::new();
    let accounts = bench.open();
    set_up(&accounts);
    for (user, address) in [("ada", [192, 0, 2, 1]), ("nobody", [192, 0, 2, 2])] {
        let try_it = |password| {
            accounts.log_in(&Attempt {
                user,
                password,
                code: None,
                from: From {
                    address: address.into(),
                    agent: "",
                },
            })
        };
        for _ in 0..5 {
            let error = try_it("wrong wrong wrong").err().expect("wrong");
            assert_eq!(error.to_string(), "wrong user or password");
        }
        assert!(matches!(try_it(PASSWORD), Err(AccountError::Wait(_))));
    }
    bench.pass(1000);
    assert!(log_in(&accounts, "ada", PASSWORD, None).is_ok());
}

#[test]
fn the_second_factor_is_asked_for_and_taken_once() {
    let bench = Bench::new();
    let accounts = bench.open();
    set_up(&accounts);
    let enrolment = accounts.begin_totp("ada").expect("it begins");
    let codes = accounts
        .confirm_totp("ada", &code_at(&enrolment.uri, bench.now()))
        .expect("right");
    bench.pass(60);
    assert!(matches!(
        log_in(&accounts, "ada", PASSWORD, None),
        Err(AccountError::CodeNeeded)
    ));
    // The wrong password does not tell that there is a second factor.
    assert!(matches!(
        log_in(&accounts, "ada", "wrong wrong wrong", None),
        Err(AccountError::Wrong)
    ));
    let code = code_at(&enrolment.uri, bench.now());
    assert!(log_in(&accounts, "ada", PASSWORD, Some(&code)).is_ok());
    assert!(matches!(
        log_in(&accounts, "ada", PASSWORD, Some(&code)),
        Err(AccountError::WrongCode)
    ));
    assert!(log_in(&accounts, "ada", PASSWORD, Some(&codes[0])).is_ok());
    assert!(log_in(&accounts, "ada", PASSWORD, Some(&codes[0])).is_err());
    // Another process sees what was used.
    drop(accounts);
    let accounts = bench.open();
    assert!(log_in(&accounts, "ada", PASSWORD, Some(&codes[0])).is_err());
    assert!(log_in(&accounts, "ada", PASSWORD, Some(&codes[1])).is_ok());
}

#[test]
fn what_a_user_loses_a_token_and_a_session_lose_as_well() {
    let bench = Bench::new();
    let accounts = bench.open();
    set_up(&accounts);
    accounts
        .add_user("zoe", PASSWORD, Role::Operator, None)
        .expect("a user");
    let zoe = log_in(&accounts, "zoe", PASSWORD, None)
        .expect("it is right")
        .secret;
    let (token, secret) = accounts
        .add_token(NewToken {
            name: "script".to_owned(),
            user: "zoe".to_owned(),
            permissions: vec![
                Permission::EventsRead,
                Permission::JobsRun,
                Permission::UsersWrite,
            ],
            cameras: Some(["front", "vault"].map(str::to_owned).into()),
            expires_at: Some(bench.now() + SignedDuration::from_hours(1)),
        })
        .expect("a token");
    let who = accounts.of_token(&secret).expect("it is in force");
    assert!(who.permissions.has(Permission::JobsRun));
    assert!(!who.permissions.has(Permission::UsersWrite), "zoe may not");
    let cameras = Some(Some(["front"].map(str::to_owned).into()));
    accounts
        .change_user(
            "zoe",
            UserChange {
                role: Some(Role::Viewer),
                cameras,
                ..UserChange::default()
            },
        )
        .expect("it changes");
    let who = accounts.of_token(&secret).expect("it is in force");
    assert!(!who.permissions.has(Permission::JobsRun));
    assert!(who.sees("front") && !who.sees("vault"));
    assert_eq!(
        accounts.of_session(&zoe).expect("it lasts").role,
        Some(Role::Viewer)
    );
    bench.pass(3600);
    assert!(accounts.of_token(&secret).is_none(), "it has expired");
    assert!(accounts.remove_token(&token.id, Some("ada")).is_err());
    accounts
        .change_user(
            "zoe",
            UserChange {
                disabled: Some(true),
                ..UserChange::default()
            },
        )
        .expect("it changes");
    assert!(accounts.of_session(&zoe).is_none());
    assert!(matches!(
        log_in(&accounts, "zoe", PASSWORD, None),
        Err(AccountError::Wrong)
    ));
}

#[test]
fn the_last_admin_stays() {
    let bench = Bench::new();
    let accounts = bench.open();
    set_up(&accounts);
    for change in [
        UserChange {
            role: Some(Role::Viewer),
            ..UserChange::default()
        },
        UserChange {
            disabled: Some(true),
            ..UserChange::default()
        },
    ] {
        assert!(matches!(
            accounts.change_user("ada", change),
            Err(AccountError::Conflict(_))
        ));
    }
    assert!(matches!(
        accounts.remove_user("ada"),
        Err(AccountError::Conflict(_))
    ));
    assert!(accounts.user("ada").is_some());
    accounts
        .add_user("zoe", PASSWORD, Role::Admin, None)
        .expect("a user");
    accounts.remove_user("ada").expect("zoe is there");
    assert!(log_in(&accounts, "ada", PASSWORD, None).is_err());
}

#[test]
fn what_another_process_changes_counts_soon() {
    let bench = Bench::new();
    let (one, other) = (bench.open(), bench.open());
    let ada = set_up(&one).secret;
    assert!(!other.is_behind());
    bench.pass(2);
    assert!(other.is_behind());
    other.catch_up();
    assert!(other.of_session(&ada).is_some());
    other
        .add_user("zoe", PASSWORD, Role::Viewer, None)
        .expect("a user");
    // Whoever logs in need not have been heard of, and need not wait.
    assert!(log_in(&one, "zoe", PASSWORD, None).is_ok());
    assert_eq!(one.users().len(), 2);
}

#[test]
fn a_new_password_ends_the_other_sessions() {
    let bench = Bench::new();
    let accounts = bench.open();
    let (first, second) = (
        set_up(&accounts),
        log_in(&accounts, "ada", PASSWORD, None).expect("right"),
    );
    let Kind::Session { id, .. } = &first.principal.kind else {
        panic!("it is a session");
    };
    assert!(
        accounts
            .change_password("ada", id, "wrong wrong wrong", "another good one", from())
            .is_err()
    );
    assert!(
        accounts
            .change_password("ada", id, PASSWORD, "short", from())
            .is_err()
    );
    accounts
        .change_password("ada", id, PASSWORD, "another good one", from())
        .expect("it is right");
    assert!(accounts.of_session(&first.secret).is_some());
    assert!(accounts.of_session(&second.secret).is_none());
    assert!(log_in(&accounts, "ada", PASSWORD, None).is_err());
    assert!(log_in(&accounts, "ada", "another good one", None).is_ok());
}
