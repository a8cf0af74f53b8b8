//! The questions that `keyport new` asks in a terminal: only what no flag said, each again until its answer can be used.
//!
//! Where input and output are is the caller's business, so that a test can answer.

use std::io::{self, BufRead, Write};

use super::{Answers, AuthKind, app_id};

/// Asks for what is missing. `None` when the input ends before that.
///
/// # Errors
/// When input or output fails.
pub fn ask(
    answers: &Answers,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<Option<Answers>> {
    let mut talk = Talk { input, output };
    let mut all = answers.clone();
    if all.name.is_none() {
        let Some(name) = talk.until("What do people call the app?", None, |text| {
            with(&Answers {
                name: Some(text.to_owned()),
                ..Answers::default()
            })
        })?
        else {
            return Ok(None);
        };
        all.name = Some(name);
    }
    if all.id.is_none() {
        let usual = all.name.as_deref().and_then(app_id);
        let Some(id) = talk.until(
            "Its id, which is the folder's name?",
            usual.as_deref(),
            |text| {
                with(&Answers {
                    id: Some(text.to_owned()),
                    ..Answers::default()
                })
            },
        )?
        else {
            return Ok(None);
        };
        all.id = Some(id);
    }
    if all.base_url.is_none() {
        let question = "What do all addresses of its API begin with? ({name} where people fill something in, as in https://{subdomain}.acme.com/api)";
        let Some(url) = talk.until(question, None, |text| {
            with(&Answers {
                base_url: Some(text.to_owned()),
                ..Answers::default()
            })
        })?
        else {
            return Ok(None);
        };
        all.base_url = Some(url);
    }
    if all.auth.is_none() {
        let Some(kind) = talk.until(
            "How does one sign in? (oauth2, api_key, basic, bearer)",
            Some("api_key"),
            |text| {
                AuthKind::named(text)
                    .map(|_| ())
                    .ok_or_else(|| "it is one of: oauth2, api_key, basic, bearer".to_owned())
            },
        )?
        else {
            return Ok(None);
        };
        all.auth = AuthKind::named(&kind);
    }
    if all.test_path.is_none() {
        let Some(path) = talk.until(
            "Which path says whose credential it is, such as /v1/me? (empty if you don't know yet)",
            Some(""),
            |text| {
                if text.is_empty() {
                    Ok(())
                } else {
                    with(&Answers {
                        test_path: Some(text.to_owned()),
                        ..Answers::default()
                    })
                }
            },
        )?
        else {
            return Ok(None);
        };
        all.test_path = Some(path).filter(|p| !p.is_empty());
    }
    Ok(Some(all))
}

fn with(answers: &Answers) -> Result<(), String> {
    answers.check().map_err(|mistake| mistake.to_string())
}

struct Talk<'a, I, O> {
    input: &'a mut I,
    output: &'a mut O,
}

impl<I: BufRead, O: Write> Talk<'_, I, O> {
    /// Asks until the answer can be used; an empty one means the usual.
    fn until(
        &mut self,
        question: &str,
        usual: Option<&str>,
        usable: impl Fn(&str) -> Result<(), String>,
    ) -> io::Result<Option<String>> {
        loop {
            match usual.filter(|u| !u.is_empty()) {
                Some(usual) => write!(self.output, "{question} [{usual}] ")?,
                None => write!(self.output, "{question} ")?,
            }
            self.output.flush()?;
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let answer = match (line.trim(), usual) {
                ("", Some(usual)) => usual.to_owned(),
                (text, _) => text.to_owned(),
            };
            match usable(&answer) {
                Ok(()) => return Ok(Some(answer)),
                Err(why) => writeln!(self.output, "  {why}")?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(typed: &str, known: &Answers) -> (Option<Answers>, String) {
        let mut output = Vec::new();
        let answers = ask(known, &mut typed.as_bytes(), &mut output).unwrap();
        (answers, String::from_utf8(output).unwrap())
    }

    #[test]
    fn what_no_flag_said_is_asked_until_the_answer_can_be_used() {
        let known = Answers {
            auth: Some(AuthKind::Basic),
            ..Answers::default()
        };
        let (answers, said) = talk(
            "Acme Desk\n\nhttp://acme.com\nhttps://api.acme.com/\nme\n/me\n",
            &known,
        );
        let answers = answers.unwrap();
        assert_eq!(answers.id.as_deref(), Some("acme-desk"));
        assert_eq!(answers.base_url.as_deref(), Some("https://api.acme.com/"));
        assert_eq!(answers.test_path.as_deref(), Some("/me"));
        assert!(
            said.contains("`http://acme.com` is not an https address"),
            "{said}"
        );
        assert!(said.contains("`me` is not a path"), "{said}");
        assert!(!said.contains("sign in?"), "a flag said it: {said}");
    }

    #[test]
    fn an_input_that_ends_is_no_answer() {
        assert_eq!(talk("Acme\n", &Answers::default()).0, None);
    }
}
