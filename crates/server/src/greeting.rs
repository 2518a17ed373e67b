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
}

impl fmt::Display for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, data, placeholder, users } = self;
        writeln!(
            f,
            "listening on {url} (CyborgDB under /v1, MathFi under /api), data in {}",
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
        let user = users.first().map_or("NAME", String::as_str);
        let login = serde_json::json!({ "username": user, "password": "PASSWORD" });
        writeln!(f, "try it:")?;
        writeln!(f, "  curl {url}/v1/health")?;
        writeln!(
            f,
            "  curl {url}/v1/indexes/create{header} -H 'Content-Type: application/json' -d '{body}'"
        )?;
        writeln!(f, "  curl {url}/v1/indexes/training-status{header}")?;
        write!(f, "  curl {url}/api/login -H 'Content-Type: application/json' -d '{login}'")
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
        let open = Greeting { url, data: "data".into(), placeholder: None, users };
        let text = open.to_string();
        assert_eq!(text.lines().filter(|line| line.starts_with("  curl ")).count(), 4);
        assert!(!text.contains("X-API-Key"));
        assert!(text.contains("users: a@example.com, b, c and 2 more"), "{text}");
        assert!(text.contains(r#""username":"a@example.com""#), "{text}");
        let text = Greeting { placeholder: Some("$KEY".to_owned()), ..open }.to_string();
        assert_eq!(text.lines().filter(|line| line.contains(r#"-H "X-API-Key: $KEY""#)).count(), 2);
    }
}
