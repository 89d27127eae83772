//! What keeps a server from beginning, and what the call ends with.

use std::net::TcpListener;

use serde_json::Value;

use crate::program::Server;
use crate::world::{Ran, World};

const SERVE: [&str; 3] = ["serve", "--store", "store"];

fn serve(world: &World, options: &[&str]) -> Ran {
    world.run(SERVE.iter().chain(options))
}

#[test]
fn an_address_in_use_is_1() {
    let world = World::empty();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = serve(&world, &["--listen", &address]).code(1);
    assert!(
        ran.stderr.contains(&format!("cannot listen at {address}")),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.is_empty(), "it is not ready");
    let ran = serve(&world, &["--json", "--listen", &address]).code(1);
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["code"], 1);
    // The second one, too.
    let both = ["--listen", "127.0.0.1:0", "--listen", &address];
    assert!(serve(&world, &both).code(1).stdout.is_empty());
}

#[test]
fn what_would_let_in_the_wrong_people_is_2_and_leaves_no_store() {
    for (config, options, said) in [
        (
            "[server]\ntls = \"off\"\n",
            &["--listen", "0.0.0.0:0"][..],
            "would cross the network in clear",
        ),
        (
            "[server]\ntls = \"off\"\nlisten = [\"127.0.0.1:0\", \"[::]:0\"]\n",
            &[],
            "would cross the network in clear",
        ),
        (
            "[server]\nauthentication = \"none\"\n",
            &["--listen", "0.0.0.0:0"],
            "for this machine alone",
        ),
        (
            "[server]\nauthentication = \"none\"\n",
            &["--behind-proxy"],
            "for this machine alone",
        ),
        (
            "[server]\nauth_token = \"short\"\n",
            &["--behind-proxy"],
            "16 characters",
        ),
        ("[server]\nauth_token = \"\"\n", &[], "let everybody in"),
    ] {
        let world = World::empty();
        world.write("keepwatch.toml", config);
        let mut all = vec!["--config", "keepwatch.toml"];
        all.extend(options);
        let ran = serve(&world, &all).code(2);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
        assert!(!world.path("store").exists(), "{config}");
    }
}

#[test]
fn beyond_this_machine_it_encrypts_or_a_proxy_does() {
    let world = World::empty();
    let everywhere = ["--json", "--listen", "0.0.0.0:0", "--store", "store"];
    let mut command = world.command(["serve"]);
    let mut program = crate::program::Program::start(command.args(everywhere));
    let ready: Value = serde_json::from_str(&program.line()).unwrap();
    assert!(ready["urls"][0].as_str().unwrap().starts_with("https://"));
    assert!(ready["fingerprint"].is_string());
    assert_eq!(program.stop().0, 0);
    let mut command = world.command(["serve", "--behind-proxy"]);
    let mut program = crate::program::Program::start(command.args(everywhere));
    let ready: Value = serde_json::from_str(&program.line()).unwrap();
    assert!(ready["urls"][0].as_str().unwrap().starts_with("http://"));
    assert!(ready["fingerprint"].is_null());
    assert_eq!(program.stop().0, 0);
}

#[test]
fn a_configuration_that_cannot_be_used_is_2() {
    for (config, said) in [
        ("[srver]\n", "perhaps server is meant"),
        ("[server\n", "line 1"),
        ("[server]\nlisten = [\"nowhere\"]\n", "socket address"),
        ("[server]\nlisten = []\n", "there is no address"),
        (
            "[cameras.a]\nurl = \"gopher://x\"\n",
            "it is none of rtsp, rtsps",
        ),
        ("[server]\nmax_connections = 0\n", "lets nobody in"),
    ] {
        let world = World::empty();
        world.write("keepwatch.toml", config);
        let ran = serve(&world, &["--config", "keepwatch.toml"]).code(2);
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
        assert!(!world.path("store").exists());
    }
    let world = World::empty();
    serve(&world, &["--config", "missing.toml"]).code(1);
    serve(&world, &["--listen", "nowhere"]).code(2);
    serve(&world, &["--camera", "no-url"]).code(2);
    world.run(["serve"]).code(2);
}

#[test]
fn certificates_that_cannot_be_used_are_1_and_named() {
    let world = World::empty();
    world.write("c.pem", "nothing");
    let files = |certificate: &str| {
        let path = |name: &str| world.path(name).display().to_string();
        world.write(
            "keepwatch.toml",
            format!(
                "[server.tls.files]\ncertificate = {:?}\nkey = {:?}\n",
                path(certificate),
                path("c.pem")
            ),
        );
        let options = ["--config", "keepwatch.toml", "--listen", "127.0.0.1:0"];
        serve(&world, &options).code(1).stderr
    };
    assert!(files("c.pem").contains("c.pem holds no certificate"));
    assert!(files("gone.pem").contains("gone.pem"));
}

#[test]
fn a_store_of_somebody_else_is_12_and_no_store_is_made_of_a_folder_with_something_in_it() {
    let world = World::empty();
    Server::start(&world, &[]).stop();
    world.write("other", [8; 32]);
    world
        .run_bare(SERVE.iter().chain(&["--key-file", "other"]))
        .code(12);
    world.write("full/of", "something");
    world
        .run(["serve", "--store", "full", "--listen", "127.0.0.1:0"])
        .code(1);
}

/// Several processes may use one store: a second server tells the same, and ends none of what the
/// first one records.
#[test]
fn two_servers_on_one_store_get_along() {
    let world = World::empty();
    let first = Server::start(&world, &["--camera", "own=test:ball"]);
    let ada = first.set_up();
    let mut stream = ada.follow(Some(0));
    let begun = stream.find(|event| event["kind"] == "motion");
    let second = Server::start(&world, &[]);
    assert!(second.ready["setup_code"].is_null());
    let path = format!("/api/v1/events/{}", begun["id"].as_str().unwrap());
    assert!(second.log_in().get(&path)["ended_at"].is_null());
    second.stop();
    assert!(ada.get(&path)["ended_at"].is_null());
    first.stop();
    crate::life::nothing_is_open(&world);
}
