//! The forms in which a checkpoint's folder holds chat templates.

use std::path::Path;

use serde_json::Value as Json;

use super::{ChatTemplate, SpecialTokens};
use crate::{Error, pretrained::read_json, weights::write_text};

const FILE: &str = "chat_template.jinja";
const FOLDER: &str = "additional_chat_templates";
const CONFIG: &str = "tokenizer_config.json";

/// The name of the template that is used unless another is asked for.
const DEFAULT: &str = "default";

/// A template's name, its text, and where that stands.
type Source = (String, String, String);

impl ChatTemplate {
    /// The templates of a checkpoint's folder: `chat_template.jinja` with
    /// `additional_chat_templates/NAME.jinja`, or `chat_template` of `tokenizer_config.json`, which
    /// is text or a list of named ones. None if there is neither.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Format`] or [`Error::Template`].
    pub fn from_folder(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(CONFIG);
        let config = read_json(&path)?.unwrap_or(Json::Null);
        let special = special_tokens(&config);
        let mut sources = files(folder)?;
        if sources.is_empty() {
            sources = listed(&config["chat_template"], &path.display().to_string())?;
        }
        if sources.is_empty() {
            return Ok(None);
        }
        let Some(default) = sources.iter().position(|(name, ..)| name == DEFAULT) else {
            let names: Vec<&str> = sources.iter().map(|(name, ..)| name.as_str()).collect();
            let expected = "a template named default";
            return Err(Error::format(
                folder.display(),
                "chat template",
                expected,
                names.join(", "),
            ));
        };
        let (_, source, file) = sources.swap_remove(default);
        let mut template = Self::parse(&source, special.clone(), &file)?;
        for (name, source, file) in sources {
            template = template.with_named(name, Self::parse(&source, special.clone(), &file)?);
        }
        Ok(Some(template))
    }

    /// Writes the templates as files of their own into `folder`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        write_text(&folder.join(FILE), self.source())?;
        if self.all_named().next().is_none() {
            return Ok(());
        }
        let more = folder.join(FOLDER);
        std::fs::create_dir_all(&more).map_err(Error::io("create", &more))?;
        self.all_named().try_for_each(|(name, template)| {
            write_text(&more.join(format!("{name}.jinja")), template.source())
        })
    }
}

/// Special tokens of `tokenizer_config.json`: text, or an object with a `content`.
fn special_tokens(config: &Json) -> SpecialTokens {
    let token = |key: &str| match &config[key] {
        Json::String(token) => Some(token.clone()),
        other => other["content"].as_str().map(str::to_owned),
    };
    SpecialTokens {
        bos_token: token("bos_token"),
        eos_token: token("eos_token"),
        pad_token: token("pad_token"),
        unk_token: token("unk_token"),
    }
}

fn files(folder: &Path) -> Result<Vec<Source>, Error> {
    let mut paths = vec![(DEFAULT.to_owned(), folder.join(FILE))];
    let more = folder.join(FOLDER);
    if more.is_dir() {
        for entry in std::fs::read_dir(&more).map_err(Error::io("read", &more))? {
            let path = entry.map_err(Error::io("read", &more))?.path();
            if let (Some("jinja"), Some(name)) = (
                path.extension().and_then(|e| e.to_str()),
                path.file_stem().and_then(|name| name.to_str()),
            ) {
                paths.push((name.to_owned(), path));
            }
        }
    }
    let mut sources = Vec::new();
    for (name, path) in paths.into_iter().filter(|(_, path)| path.exists()) {
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        sources.push((name, text, path.display().to_string()));
    }
    Ok(sources)
}

fn listed(value: &Json, file: &str) -> Result<Vec<Source>, Error> {
    let wrong = |found: &Json| {
        let expected = "text, or a list of objects with name and template";
        Error::format(file, "chat_template", expected, found.to_string())
    };
    match value {
        Json::Null => Ok(Vec::new()),
        Json::String(source) => Ok(vec![(DEFAULT.into(), source.clone(), file.to_owned())]),
        Json::Array(items) => items
            .iter()
            .map(|item| match (item["name"].as_str(), item["template"].as_str()) {
                // Names become those of files when the checkpoint is saved.
                (Some(name), Some(source)) if !name.is_empty() && !name.contains(['/', '\\']) => {
                    Ok((name.to_owned(), source.to_owned(), file.to_owned()))
                }
                _ => Err(wrong(item)),
            })
            .collect(),
        other => Err(wrong(other)),
    }
}
