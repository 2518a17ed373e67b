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
}

impl fmt::Display for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, data, placeholder } = self;
        writeln!(f, "listening on {url} (CyborgDB under /v1), data in {}", data.display())?;
        let header = match placeholder {
            Some(placeholder) => {
                writeln!(f, "credentials: callers must show the root key in X-API-Key")?;
                format!(" -H \"X-API-Key: {placeholder}\"")
            }
            None => {
                writeln!(f, "credentials: none, everybody who reaches this address may do everything")?;
                String::new()
            }
        };
        let index_key: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
        let body = format!(r#"{{"index_name":"first","index_key":"{index_key}"}}"#);
        writeln!(f, "try it:")?;
        writeln!(f, "  curl {url}/v1/health")?;
        writeln!(
            f,
            "  curl {url}/v1/indexes/create{header} -H 'Content-Type: application/json' -d '{body}'"
        )?;
        write!(f, "  curl {url}/v1/indexes/training-status{header}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_three_lines_to_copy() {
        let url = "http://127.0.0.1:8000".to_owned();
        let open = Greeting { url, data: "data".into(), placeholder: None };
        let text = open.to_string();
        assert_eq!(text.lines().filter(|line| line.starts_with("  curl ")).count(), 3);
        assert!(!text.contains("X-API-Key"));
        let text = Greeting { placeholder: Some("$KEY".to_owned()), ..open }.to_string();
        assert_eq!(text.lines().filter(|line| line.contains(r#"-H "X-API-Key: $KEY""#)).count(), 2);
    }
}
