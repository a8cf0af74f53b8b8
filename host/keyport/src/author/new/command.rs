//! The command itself: flags, questions in a terminal, files, and what to do next.
//!
//! Exit codes: 0 the folder is there, 2 nothing was written and why. Nothing that exists is overwritten.

use std::fs;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use keyport_manifest::Component;

use super::{Answers, AuthKind, Scaffold, openapi, questions, scaffold};
use crate::author::build::{self, Lang};
use crate::author::{Failure, Outcome, count};

/// Largest document that is read. The largest that vendors publish has some 50 MB.
const MAX_DOCUMENT: u64 = 128 << 20;

/// Flags of `new`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Read the vendor's OpenAPI document (JSON or YAML; 3.0, 3.1 or Swagger 2.0); `-` reads standard input
    #[arg(long, value_name = "FILE")]
    openapi: Option<PathBuf>,
    /// Folder of apps that the app's folder is made in [default: manifests if that is there, else here]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Give the app code of its own, in this language, instead of a declarative test
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    /// The app's id, which becomes the folder's name
    #[arg(long)]
    id: Option<String>,
    /// What people call the app
    #[arg(long)]
    name: Option<String>,
    /// One sentence: what people do with the app
    #[arg(long, value_name = "TEXT")]
    summary: Option<String>,
    /// What all addresses of the API begin with; {name} where people fill something in
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// How one signs in
    #[arg(long, value_enum)]
    auth: Option<Kind>,
    /// The path of the call that says whose credential it is, such as /v1/me
    #[arg(long, value_name = "PATH")]
    test_path: Option<String>,
    /// oauth2: where people are sent to sign in
    #[arg(long, value_name = "URL")]
    authorize_url: Option<String>,
    /// oauth2: where codes are exchanged for tokens
    #[arg(long, value_name = "URL")]
    token_url: Option<String>,
    /// oauth2: a scope that is always asked for; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// api_key: the header that the key goes into
    #[arg(long, value_name = "NAME", conflicts_with = "query")]
    header: Option<String>,
    /// api_key: the query parameter that the key goes into
    #[arg(long, value_name = "NAME")]
    query: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Kind {
    Oauth2,
    ApiKey,
    Basic,
    Bearer,
}

impl Arguments {
    fn answers(&self) -> Answers {
        Answers {
            id: self.id.clone(),
            name: self.name.clone(),
            summary: self.summary.clone(),
            base_url: self.base_url.clone(),
            auth: self.auth.map(|kind| match kind {
                Kind::Oauth2 => AuthKind::Oauth2,
                Kind::ApiKey => AuthKind::ApiKey,
                Kind::Basic => AuthKind::Basic,
                Kind::Bearer => AuthKind::Bearer,
            }),
            test_path: self.test_path.clone(),
            authorize_url: self.authorize_url.clone(),
            token_url: self.token_url.clone(),
            scopes: self.scopes.clone(),
            header: self.header.clone(),
            query: self.query.clone(),
        }
    }
}

/// Makes the folder.
pub fn run(arguments: &Arguments) -> Outcome {
    let answers = arguments.answers();
    let said = |error: &dyn std::fmt::Display| Failure::Said(error.to_string());
    let mut draft = match &arguments.openapi {
        Some(file) => {
            let text = read(file)?;
            openapi::draft(&text, &answers)
                .map_err(|e| Failure::Said(format!("{}: {e}", file.display())))?
        }
        None => complete(answers)?.draft().map_err(|e| said(&e))?,
    };
    draft.lang = arguments.lang;
    let made = scaffold(&draft);
    let folder = write(arguments.dir.as_deref(), &made)?;
    if arguments.lang.is_some() {
        build::kit_for(&folder)?;
    }
    report(&folder, &made);
    Ok(ExitCode::SUCCESS)
}

/// Asks for what is missing, if somebody is there to answer.
fn complete(answers: Answers) -> Result<Answers, Failure> {
    let missing = answers.missing();
    if missing.is_empty() {
        return Ok(answers);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::Said(format!(
            "{} missing; give {}, or the vendor's document with --openapi, or run this in a terminal to be asked",
            if missing.len() == 1 {
                "a flag is"
            } else {
                "flags are"
            },
            missing.join(", "),
        )));
    }
    let asked = questions::ask(&answers, &mut io::stdin().lock(), &mut io::stderr().lock());
    asked
        .map_err(|source| Failure::File {
            path: PathBuf::from("the terminal"),
            source,
        })?
        .ok_or_else(|| {
            Failure::Said("the questions were not answered; nothing was written".to_owned())
        })
}

fn read(path: &Path) -> Result<String, Failure> {
    let file = |source| Failure::File {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin()
            .take(MAX_DOCUMENT)
            .read_to_end(&mut bytes)
            .map_err(file)?;
    } else {
        fs::File::open(path)
            .and_then(|open| open.take(MAX_DOCUMENT).read_to_end(&mut bytes))
            .map_err(file)?;
    }
    String::from_utf8(bytes).map_err(|_| Failure::Said(format!("{} is not UTF-8", path.display())))
}

/// Writes the files into a folder that was not there before.
fn write(dir: Option<&Path>, made: &Scaffold) -> Result<PathBuf, Failure> {
    let usual = || {
        Path::new(if Path::new("manifests").is_dir() {
            "manifests"
        } else {
            "."
        })
    };
    let dir = dir.unwrap_or_else(usual);
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| Failure::File { path, source }
    };
    fs::create_dir_all(dir).map_err(file(dir))?;
    let folder = dir.join(&made.id);
    fs::create_dir(&folder).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => Failure::Said(format!(
            "{} is there already and was not touched; choose another --id or --dir",
            folder.display()
        )),
        _ => file(&folder)(source),
    })?;
    for (name, text) in all(made) {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(file(parent))?;
        }
        fs::File::create_new(&path)
            .and_then(|mut open| open.write_all(text.as_bytes()))
            .map_err(file(&path))?;
    }
    Ok(folder)
}

/// Every file, by its path in the app's folder.
fn all(made: &Scaffold) -> Vec<(String, &str)> {
    let files = made
        .files
        .iter()
        .map(|one| (one.path.to_owned(), one.text.as_str()));
    let code = made
        .code
        .iter()
        .map(|(path, text)| (format!("{}/{path}", Component::SOURCE), text.as_str()));
    files.chain(code).collect()
}

fn report(folder: &Path, made: &Scaffold) {
    for (name, _) in all(made) {
        println!("wrote {}", folder.join(name).display());
    }
    if !made.remarks.is_empty() {
        println!("\nNot carried over from the document:");
        for remark in &made.remarks {
            println!("  {remark}");
        }
    }
    let manifest = folder.join("manifest.yaml");
    println!(
        "\n{} to fill in, each under a comment `# TODO(keyport): …`:",
        count(made.blanks.len(), "blank")
    );
    for (line, todo) in &made.blanks {
        println!("  {}:{line}  {todo}", manifest.display());
    }
    let folder = folder.display();
    println!("\nNext:");
    if !made.code.is_empty() {
        println!("  keyport build {folder}         # component/ becomes component.wasm");
        println!(
            "  keyport test {folder}          # run it against fixtures/, without the network"
        );
    }
    println!("  keyport validate {folder}      # until it has nothing to say");
    println!("  keyport render {folder}        # the form and the requests that it makes");
    println!("  KEYPORT_APPS={folder} keyport dev   # connect it, on this machine");
    println!("Replace logo.svg and the exchanges in fixtures/ with the vendor's own.");
}
