//! What a newcomer reads first.

use std::fmt;
use std::path::PathBuf;

/// Where a service listens, who may come in, and how to try it; never a key.
#[derive(Debug, Clone)]
pub struct Greeting {
    pub(crate) url: String,
    pub(crate) data: PathBuf,
    /// What stands for the root key; `None` when nobody is asked for one.
    pub(crate) placeholder: Option<String>,
    /// Who may log in.
    pub(crate) users: Vec<String>,
    /// What stands for HeyGen's key.
    pub(crate) heygen_placeholder: String,
    /// What stands for elizaOS's token; `None` when nobody is asked for one.
    pub(crate) eliza_placeholder: Option<String>,
}

impl Greeting {
    /// Has this stand for HeyGen's key in the lines to copy, such as the name of the environment variable it is in.
    /// Default: a command that reads the file with the key that was made, or `$HEYGEN_KEY` when one is configured.
    #[must_use]
    pub fn with_heygen_placeholder(mut self, placeholder: impl Into<String>) -> Self {
        self.heygen_placeholder = placeholder.into();
        self
    }

    /// Has this stand for elizaOS's token in the lines to copy, where one is asked for. Default: a command that reads the
    /// file with the token that was made, or `$ELIZA_TOKEN` when one is configured.
    #[must_use]
    pub fn with_eliza_placeholder(mut self, placeholder: impl Into<String>) -> Self {
        self.eliza_placeholder = self.eliza_placeholder.map(|_| placeholder.into());
        self
    }
}

impl fmt::Display for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, data, placeholder, users, heygen_placeholder, eliza_placeholder } = self;
        writeln!(
            f,
            "listening on {url} (CyborgDB under /v1, MathFi under /api, HeyGen under /v2 and /v1/asset, elizaOS under \
             /api/training and /ws), data in {}",
            data.display()
        )?;
        let header = match placeholder {
            Some(placeholder) => {
                writeln!(f, "CyborgDB's credentials: callers must show the root key in X-API-Key")?;
                format!(" -H \"X-API-Key: {placeholder}\"")
            }
            None => {
                writeln!(
                    f,
                    "CyborgDB's credentials: none, everybody who reaches this address may do everything"
                )?;
                String::new()
            }
        };
        let index_key: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
        let body = format!(r#"{{"index_name":"first","index_key":"{index_key}"}}"#);
        let shown = users.iter().take(USERS_SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = users.len().saturating_sub(USERS_SHOWN_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        writeln!(f, "MathFi's users: {shown}{more}")?;
        writeln!(f, "HeyGen's credentials: callers must show its key in X-Api-Key")?;
        let authorization = match eliza_placeholder {
            Some(placeholder) => {
                writeln!(f, "elizaOS's credentials: callers must show its token in Authorization")?;
                format!(" -H \"Authorization: Bearer {placeholder}\"")
            }
            None => {
                writeln!(
                    f,
                    "elizaOS's credentials: none, everybody who reaches this address may do everything"
                )?;
                String::new()
            }
        };
        let user = users.first().map_or("NAME", String::as_str);
        let login = serde_json::json!({ "username": user, "password": "PASSWORD" });
        writeln!(f, "try it:")?;
        writeln!(f, "  curl {url}/v1/health")?;
        writeln!(
            f,
            "  curl {url}/v1/indexes/create{header} -H 'Content-Type: application/json' -d '{body}'"
        )?;
        writeln!(f, "  curl {url}/v1/indexes/training-status{header}")?;
        writeln!(f, "  curl {url}/api/login -H 'Content-Type: application/json' -d '{login}'")?;
        writeln!(f, "  curl {url}/v2/avatar_group.list -H \"X-Api-Key: {heygen_placeholder}\"")?;
        write!(f, "  curl {url}/api/training/status{authorization}")
    }
}

const USERS_SHOWN_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_lines_to_copy() {
        let url = "http://127.0.0.1:8000".to_owned();
        let users = ["a@example.com", "b", "c", "d", "e"].map(str::to_owned).into();
        let heygen_placeholder = "$(cat key)".to_owned();
        let open = Greeting {
            url,
            data: "data".into(),
            placeholder: None,
            users,
            heygen_placeholder,
            eliza_placeholder: None,
        };
        let text = open.to_string();
        assert_eq!(text.lines().filter(|line| line.starts_with("  curl ")).count(), 6);
        assert!(!text.contains("X-API-Key") && !text.contains("Bearer"));
        assert!(text.contains("users: a@example.com, b, c and 2 more"), "{text}");
        assert!(text.contains(r#""username":"a@example.com""#), "{text}");
        assert!(text.contains(r#"-H "X-Api-Key: $(cat key)""#), "{text}");
        let open = open.with_heygen_placeholder("$HERE");
        assert!(
            !open.clone().with_eliza_placeholder("$TOKEN").to_string().contains("Bearer"),
            "nobody is asked"
        );
        let open =
            Greeting { eliza_placeholder: Some("$X".to_owned()), ..open }.with_eliza_placeholder("$TOKEN");
        let text = Greeting { placeholder: Some("$KEY".to_owned()), ..open }.to_string();
        assert!(text.ends_with(r#"/api/training/status -H "Authorization: Bearer $TOKEN""#), "{text}");
        assert!(text.contains(r#"-H "X-Api-Key: $HERE""#), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains(r#"-H "X-API-Key: $KEY""#)).count(), 2);
    }
}
