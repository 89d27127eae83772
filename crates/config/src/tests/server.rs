use super::*;

fn server(text: &str) -> Result<ServerConfig> {
    Ok(load(&format!("[server]\n{text}"), &[])?.config.server)
}

#[test]
fn the_server_is_for_this_machine_unless_it_is_said() {
    let config = load("", &[]).expect("it is read").config.server;
    assert!(!config.is_exposed() && !config.encrypts());
    assert_eq!(config.authentication, Authentication::Users);
    let exposed = server("listen = [\"0.0.0.0:8443\"]").expect("it encrypts by itself");
    assert!(exposed.is_exposed() && exposed.encrypts());
    let proxied = server("listen = [\"[::]:80\"]\nbehind_proxy = true").expect("the proxy does");
    assert!(proxied.is_exposed() && !proxied.encrypts());
    assert!(
        !server("listen = [\"[::1]:80\", \"127.9.9.9:80\"]")
            .expect("fine")
            .is_exposed()
    );
    assert!(
        server("listen = [\"[::ffff:192.0.2.1]:80\"]")
            .expect("fine")
            .is_exposed()
    );
}

#[test]
fn what_would_let_in_the_wrong_people_is_refused() {
    for (text, key) in [
        ("listen = []", "listen"),
        ("listen = [\"0.0.0.0:80\"]\ntls = \"off\"", "tls"),
        (
            "listen = [\"0.0.0.0:80\"]\nauthentication = \"none\"",
            "authentication",
        ),
        (
            "behind_proxy = true\nauthentication = \"none\"",
            "authentication",
        ),
        ("auth_token = \"\"", "auth_token"),
        ("auth_token = \"  \"", "auth_token"),
        ("auth_token = \"file:/run/missing\"", "auth_token"),
        (
            "auth_token = \"hunter2\"\nlisten = [\"0.0.0.0:80\"]",
            "auth_token",
        ),
        (
            "auth_token = \"hunter2\"\nauthentication = \"none\"",
            "auth_token",
        ),
        ("allowed_origins = [\"*\"]", "allowed_origins"),
        (
            "allowed_origins = [\"https://a.example/path\"]",
            "allowed_origins",
        ),
        ("requests_per_second = 0", "requests_per_second"),
        ("tls = \"on\"", "self-signed"),
        ("tls = { certificate = \"a.pem\" }", "files"),
    ] {
        let error = server(text).expect_err(text);
        let told = format!("{error} {error:?}");
        assert!(told.contains(key), "{text}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn tokens_and_passwords_come_from_files_and_are_not_shown() {
    let text = "[server]\nauth_token = \"file:/run/secret\"\n[repositories.home]\npath = \"vault\"\n\
                password = \"file:/run/secret\"";
    let mut config = load(text, &[]).expect("it is read").config;
    assert_eq!(
        config
            .server
            .auth_token
            .as_ref()
            .expect("it is set")
            .expose(),
        "hunter2"
    );
    let home = &config.repositories["home"];
    assert_eq!(
        home.password.as_ref().expect("it is set").expose(),
        "hunter2"
    );
    assert!(!format!("{config:?}").contains("hunter2"));
    config.place(Path::new("/etc/keepwatch"));
    assert_eq!(
        config.repositories["home"].path,
        Path::new("/etc/keepwatch/vault")
    );
    let by_variable = load("", &[("KEEPWATCH__SERVER__AUTH_TOKEN", "a$b{c}")]).expect("it is text");
    let token = by_variable.config.server.auth_token.expect("it is set");
    assert_eq!(token.expose(), "a$b{c}");
}

#[test]
fn certificates_are_beside_the_file() {
    let text = "[server]\ntls = { files = { certificate = \"c.pem\", key = \"/k.pem\" } }";
    let mut config = load(text, &[]).expect("it is read").config;
    config.place(Path::new("/etc/keepwatch"));
    let ServerTls::Files { certificate, key } = config.server.tls else {
        panic!("files are named");
    };
    assert_eq!(
        (certificate, key),
        ("/etc/keepwatch/c.pem".into(), "/k.pem".into())
    );
}

const VAULT: &str = "[repositories.home]\npath = \"/srv/vault\"\nkey_file = \"/k\"\n";

#[test]
fn jobs_say_what_they_do_with_which_repository() {
    let text = format!(
        "{VAULT}[jobs.nightly]\nkind = \"backup\"\nrepository = \"home\"\npaths = [\"docs\"]\n\
         from_snapshot = \"lvm\"\nsnapshot_size = \"20%ORIGIN\"\n\
         [jobs.drill]\nkind = \"drill\"\nrepository = \"home\"\nsample_files = 20"
    );
    let mut config = load(&text, &[]).expect("it is read").config;
    config.place(Path::new("/home/ada"));
    assert_eq!(
        config.jobs["nightly"].paths,
        [PathBuf::from("/home/ada/docs")]
    );
    assert_eq!(config.jobs["drill"].kind, JobKind::Drill);
}

#[test]
fn jobs_and_repositories_that_cannot_work_are_refused() {
    let job = |text: &str| {
        load(
            &format!("{VAULT}[jobs.a]\nrepository = \"home\"\n{text}"),
            &[],
        )
    };
    for text in [
        "kind = \"backup\"",
        "kind = \"check\"\npaths = [\"/a\"]",
        "kind = \"check\"\nread_data_percent = 0",
        "kind = \"backup\"\npaths = [\"/a\"]\nread_data_percent = 5",
        "kind = \"check\"\nfrom_snapshot = \"btrfs\"",
        "kind = \"backup\"\npaths = [\"/a\"]\nfrom_snapshot = \"ext4\"",
        "kind = \"backup\"\npaths = [\"/a\"]\nsnapshot_size = \"5G\"",
        "kind = \"backup\"\npaths = [\"/a\"]\nfrom_snapshot = \"zfs\"\nsnapshot_size = \"5G\"",
        "kind = \"backup\"\npaths = [\"/a\"]\nfrom_snapshot = \"lvm\"\nsnapshot_size = \"5\"",
        "kind = \"backup\"\ndatabases = [\"d\"]\nfrom_snapshot = \"lvm\"\n\
         [databases.d]\nkind = \"sqlite\"\npath = \"/d\"",
        "kind = \"drill\"\nsample_files = 0",
        "kind = \"prune\"\nsample_bytes = 5",
        "kind = \"prune\"\ntags = [\"a\"]",
        "kind = \"other\"",
    ] {
        assert!(job(text).is_err(), "{text}");
    }
    for text in [
        "[repositories.home]\npath = \"/srv\"",
        "[repositories.home]\npath = \"/srv\"\nkey_file = \"a\"\nidentity = \"b\"",
        "[repositories.home]\npath = \"/srv\"\npassword = \"\"",
        "[repositories.\"a/b\"]\npath = \"/srv\"\nkey_file = \"a\"",
        "[jobs.a]\nkind = \"check\"\nrepository = \"home\"",
    ] {
        assert!(load(text, &[]).is_err(), "{text}");
    }
}

#[test]
fn the_address_of_a_database_is_a_secret() {
    let text = "[store]\npath = \"postgres://u:hunter2@h/db\"\nmedia = \"/srv/media\"";
    let given = load(text, &[]).expect("it is read").config;
    assert!(!format!("{given:?}").contains("hunter2"));
    assert!(format!("{given:?}").contains("/srv/media"));
    let from_file = load("[store]\npath = \"file:/run/secret\"", &[]).expect("it is read");
    assert_eq!(from_file.config.store.path, Some("hunter2".into()));
    let address = "postgres://u:a$b@h/db";
    let by_variable = load("", &[("KEEPWATCH__STORE__PATH", address)]).expect("it is text");
    assert_eq!(by_variable.config.store.path, Some(address.into()));
}
