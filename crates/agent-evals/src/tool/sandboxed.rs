//! Tools that act in a sandbox: a shell, Python, files.

use std::{fmt::Write as _, sync::Arc};

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::{Refusal, Tool, ToolOutcome};
use crate::{
    Error,
    sandbox::{Command, Ended, Output, Sandbox},
};

/// The most that is read of a file.
const MAX_FILE_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Shell,
    Python,
    Read,
    Write,
}

struct SandboxTool {
    kind: Kind,
    spec: chat_model::Tool,
    sandbox: Sandbox,
}

/// The tools `bash`, `python`, `read_file` and `write_file`, which act in a sandbox.
///
/// What a command leaves running is ended with it; its files stay.
pub fn sandboxed(sandbox: &Sandbox) -> [Arc<dyn Tool>; 4] {
    let tool = |kind, name: &str, description: &str, arguments: &[(&str, &str)]| {
        let properties: Map<String, Value> = arguments
            .iter()
            .map(|(name, says)| {
                ((*name).to_owned(), json!({ "type": "string", "description": says }))
            })
            .collect();
        let required: Vec<&str> = arguments.iter().map(|(name, _)| *name).collect();
        let spec = chat_model::Tool {
            name: name.to_owned(),
            description: description.to_owned(),
            parameters: json!({
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            }),
        };
        Arc::new(SandboxTool { kind, spec, sandbox: sandbox.clone() }) as Arc<dyn Tool>
    };
    [
        tool(Kind::Shell, "bash", "Runs a command in a shell.", &[("command", "The command.")]),
        tool(Kind::Python, "python", "Runs a Python program.", &[("code", "The program.")]),
        tool(Kind::Read, "read_file", "Reads a text file.", &[("path", "Path of the file.")]),
        tool(
            Kind::Write,
            "write_file",
            "Writes a text file, in place of an older one.",
            &[("path", "Path of the file."), ("text", "What to write.")],
        ),
    ]
}

impl Tool for SandboxTool {
    fn spec(&self) -> &chat_model::Tool {
        &self.spec
    }

    fn call<'a>(
        &'a self,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<ToolOutcome, Error>> {
        let of = |key: &str| arguments.get(key).and_then(Value::as_str).unwrap_or_default();
        Box::pin(async move {
            // The system takes no null character, in no argument.
            for (name, value) in arguments {
                if value.as_str().is_some_and(|v| v.contains('\0')) && name != "text" {
                    let message = format!("{name}: expected no null character, found one");
                    return Ok(ToolOutcome::refused(Refusal::Arguments, message));
                }
            }
            match self.kind {
                Kind::Shell => {
                    // By its input, since an argument is not as long as a program may be; and read to
                    // its end first, so that the program's own input is empty.
                    let mut command =
                        Command::new("/bin/bash", ["-c", "eval \"$(cat)\" </dev/null"]);
                    command.input = of("command").as_bytes().to_vec();
                    Ok(said(&self.sandbox.run(&command).await?))
                }
                Kind::Python => {
                    let mut command = Command::new("python3", ["-"]);
                    command.input = of("code").as_bytes().to_vec();
                    Ok(said(&self.sandbox.run(&command).await?))
                }
                Kind::Read => Ok(match self.sandbox.read(of("path"), MAX_FILE_BYTES).await? {
                    Ok(bytes) => ToolOutcome::Output {
                        text: String::from_utf8_lossy(&bytes).into_owned(),
                        facts: facts(&[&bytes]),
                    },
                    Err(message) => ToolOutcome::refused(Refusal::NotFound, message),
                }),
                Kind::Write => {
                    let text = of("text");
                    Ok(match self.sandbox.write(of("path"), text.as_bytes()).await? {
                        Ok(()) => ToolOutcome::text(format!("wrote {} bytes", text.len())),
                        Err(message) => ToolOutcome::refused(Refusal::Failed, message),
                    })
                }
            }
        })
    }
}

/// What the agent is told of a command: its output, its errors, and how it ended where that is not
/// plain success.
fn said(output: &Output) -> ToolOutcome {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !errors.is_empty() {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&errors);
    }
    let mut facts = facts(&[&output.stdout, &output.stderr]);
    let (fact, ended) = match output.ended {
        Ended::Exit(0) => (json!(0), None),
        Ended::Exit(status) => (json!(status), Some(format!("exit status {status}"))),
        Ended::Time => (json!("time"), Some("ended: it took too long".to_owned())),
        Ended::Output => (json!("output"), Some("ended: it wrote too much".to_owned())),
        Ended::Memory => (json!("memory"), Some("ended: it took too much memory".to_owned())),
    };
    facts.insert("ended".to_owned(), fact);
    if let Some(ended) = ended {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let _ = write!(text, "[{ended}]");
    }
    ToolOutcome::Output { text, facts }
}

/// Bytes that are no text are shown as marks, and told of.
fn facts(outputs: &[&[u8]]) -> Map<String, Value> {
    let mut facts = Map::new();
    if outputs.iter().any(|bytes| std::str::from_utf8(bytes).is_err()) {
        facts.insert("not_utf8".to_owned(), true.into());
    }
    facts
}
