//! The personas that scenarios are crossed with.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::{Error, Persona, nearest};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    personas: Vec<Persona>,
}

static ALL: LazyLock<Vec<Persona>> = LazyLock::new(|| {
    let file: Result<File, _> = toml::from_str(include_str!("../../data/personas.toml"));
    // A test reads the file; nobody in particular is there in any case.
    file.map_or_else(|_| vec![Persona::none()], |f| f.personas)
});

/// All personas, `none` first: along the published axes, in our own words.
pub fn personas() -> &'static [Persona] {
    &ALL
}

/// The persona of a name; several joined by `+` are chained in their order.
///
/// # Errors
/// [`Error::Unknown`] with the nearest names.
///
/// # Examples
/// ```
/// use agent_evals::scenarios::persona;
///
/// let both = persona("analyst+rapid_executor")?;
/// assert!(both.text.starts_with("You are an analyst"));
/// assert!(persona("analist").is_err());
/// # Ok::<(), agent_evals::Error>(())
/// ```
pub fn persona(name: &str) -> Result<Persona, Error> {
    let one = |name: &str| {
        personas().iter().find(|p| p.name == name).cloned().ok_or_else(|| Error::Unknown {
            what: "persona",
            name: name.to_owned(),
            hint: nearest(name, personas().iter().map(|p| p.name.as_str())),
        })
    };
    let all: Vec<Persona> = name.split('+').map(one).collect::<Result<_, _>>()?;
    Ok(match <[Persona; 1]>::try_from(all) {
        Ok([alone]) => alone,
        Err(several) => Persona::chain(&several),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_eight_and_they_chain() {
        let names: Vec<&str> = personas().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names.len(), 8);
        assert_eq!(personas()[0], Persona::none());
        assert!(personas()[1..].iter().all(|p| p.text.starts_with("You are ")));
        let chained = persona("rapid_executor+none+analyst").unwrap();
        assert_eq!(chained.name, "rapid_executor+none+analyst");
        let (quick, careful) =
            (&persona("rapid_executor").unwrap().text, &persona("analyst").unwrap().text);
        assert_eq!(chained.text, format!("{quick}\n\n{careful}"));
        let error = persona("analist").unwrap_err().to_string();
        assert!(error.contains("is analyst meant?"), "{error}");
    }
}
