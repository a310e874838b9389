//! What containers would be made with and of, told before any is made.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::{NEW, chaos_in, drill, engine, place};

/// `docker` and its engine, in which the image of a Redis says what it is; there is no network.
fn one_image(place: &Path, command: &mut Command) {
    let docker = place.join("docker");
    fs::write(&docker, "#!/bin/sh\n[ \"$1\" = info ] && echo this-engine\nexit 0\n").expect("a script");
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).expect("our own");
    command.env("PATH", format!("{}:/usr/bin:/bin", place.display()));
    command.env("HOLDFAST_REDIS_IMAGE", "some-redis:1").env("HOLDFAST_CHAT_IMAGE", "some-chat:1");
}

fn engine_with_images(place: &Path) -> PathBuf {
    engine(place, |request| match request {
        request if request.contains("/version") => (200, NEW),
        request if request.contains("/info") => (200, r#"{"ID":"this-engine"}"#),
        request if request.contains("/images/some-chat:1") => (404, r#"{"message":"No such image"}"#),
        request if request.starts_with("GET") && request.contains("/images/") => (200, r#"{"Id":"an-image"}"#),
        request if request.contains("/images/create") => (200, r#"{"status":"pulled"}"#),
        request if request.contains("/containers/create") => (201, r#"{"Id":"one","Warnings":[]}"#),
        request if request.contains("/start") => (204, ""),
        request if request.contains("/logs") => (200, "\x01\0\0\0\0\0\0\x1fRedis server v=7.2.4 sha=none:0\n"),
        request if request.starts_with("DELETE") => (204, ""),
        _ => (500, r#"{"message":"no networks today"}"#),
    })
}

#[test]
fn with_an_image_for_them_no_chat_node_is_looked_for_on_this_machine() {
    let place = place("only-images");
    let socket = engine_with_images(&place);
    let mut command = drill(Path::new(env!("CARGO_BIN_EXE_chaos")), &place, &socket);
    one_image(&place, &mut command);
    // One that was given and is not there is an error, if anybody looks.
    let output = command.env("CHAT_NODE", place.join("nowhere")).output().expect("the binary starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(70), "{told}");
    assert!(told.contains("Redis 7.2.4") && told.contains("no networks today"), "{told}");
    assert!(!told.contains("the chat node that was given"), "{told}");
}

#[test]
fn a_plan_says_what_containers_would_be_made_with_and_of_and_what_is_missing() {
    let place = place("outlook");
    let socket = engine_with_images(&place);
    let plan = |prepare: &dyn Fn(&mut Command)| {
        let mut command = drill(Path::new(env!("CARGO_BIN_EXE_chaos")), &place, &socket);
        one_image(&place, &mut command);
        prepare(&mut command);
        let output = command.arg("--dry-run").output().expect("the binary starts");
        let [out, told] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (output.status.code(), out, told)
    };
    let (code, out, told) = plan(&|_| {});
    assert_eq!((code, told.as_str()), (Some(0), ""), "{out}");
    for line in [
        "engine        any, the one of the image",
        &format!("containers    of Docker 26.1.5 ({})", socket.display()),
        "Redis: the image some-redis:1, here",
        "chat: the image some-chat:1, to be pulled",
    ] {
        assert!(out.contains(line), "{line} is not in:\n{out}");
    }
    let (code, out, told) = plan(&|command| {
        command.env_remove("HOLDFAST_CHAT_IMAGE").env("CHAT_NODE", "/nowhere/chat-node");
    });
    assert_eq!(code, Some(70), "{out}");
    assert!(told.contains("the chat node that was given, /nowhere/chat-node: there is no such file"), "{told}");
    let (code, out, told) = plan(&|command| {
        command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    });
    assert!(code == Some(70) && out.contains("primary-kill: "), "{out}");
    assert!(told.contains("no Docker engine") && told.contains("/nowhere/docker.sock"), "{told}");
    assert!(!place.join("runs").exists(), "a run was left");
}

#[test]
fn a_plan_says_that_a_chat_node_is_built_first() {
    let place = place("unbuilt");
    let (socket, target) = (engine_with_images(&place), place.join("target/debug"));
    for folder in [&target, &place.join("system/server")] {
        fs::create_dir_all(folder).expect("a writable folder");
    }
    fs::write(place.join("Cargo.toml"), "").expect("written");
    let mut command = drill(&chaos_in(&target), &place, &socket);
    one_image(&place, &mut command);
    command.env_remove("HOLDFAST_CHAT_IMAGE").env_remove("CHAT_NODE");
    let output = command.arg("--dry-run").output().expect("the binary starts");
    let [out, told] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert_eq!((output.status.code(), told.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("/target/debug/chat-node, built from the workspace first, packed"), "{out}");
}

#[test]
fn a_plan_tells_every_image_whose_name_is_none() {
    let place = place("bad-names");
    let socket = engine(&place, |request| match request {
        request if request.contains("/version") => (200, NEW),
        request if request.contains("/info") => (200, r#"{"ID":"this-engine"}"#),
        _ => (400, r#"{"message":"invalid reference format"}"#),
    });
    let mut command = drill(Path::new(env!("CARGO_BIN_EXE_chaos")), &place, &socket);
    one_image(&place, &mut command);
    command.env("HOLDFAST_REDIS_IMAGE", "bad-redis").env("HOLDFAST_CHAT_IMAGE", "bad-chat");
    let output = command.arg("--dry-run").output().expect("the binary starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(70), "{told}");
    let both = "the image bad-redis: invalid reference format; the image bad-chat: invalid reference format";
    assert!(told.contains(both), "{told}");
}
