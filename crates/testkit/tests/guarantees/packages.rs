//! The packages of the workspace, as cargo sees them, and which of their tests a call runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, Meta, Token};

use crate::script::{Chosen, Ignored, Run};
use crate::source::TestFn;

/// One package of the workspace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its features, and what each switches on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// What of it `cargo test` builds.
    pub(crate) targets: Vec<Target>,
}

/// One thing that `cargo test` builds and runs.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// What asks for it.
    pub(crate) chosen: Chosen,
    /// The file it begins with.
    pub(crate) root: PathBuf,
    /// Features without which it is not built.
    pub(crate) required: Vec<String>,
}

/// The packages of the workspace around this folder.
///
/// # Errors
///
/// What cargo said instead.
pub(crate) fn read(root: &Path) -> Result<Vec<Package>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("could not start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    Ok(array(&metadata["packages"]).map(Package::from_metadata).collect())
}

impl Package {
    fn from_metadata(package: &Value) -> Self {
        let features = package["features"].as_object().into_iter().flatten();
        Self {
            name: text(&package["name"]),
            folder: PathBuf::from(text(&package["manifest_path"]))
                .parent()
                .map(Path::to_owned)
                .unwrap_or_default(),
            features: features.map(|(name, on)| (name.clone(), array(on).map(text).collect())).collect(),
            targets: array(&package["targets"]).filter_map(Target::from_metadata).collect(),
        }
    }

    /// The features that a call switches on, and what they switch on in turn.
    fn features_in(&self, run: &Run) -> BTreeSet<&str> {
        let mut on = BTreeSet::new();
        let own = |name: &str| match name.split_once('/') {
            Some((package, feature)) => (package == self.name).then(|| feature.to_owned()),
            None => Some(name.to_owned()),
        };
        let mut open: Vec<String> = run.features.iter().filter_map(|name| own(name)).collect();
        if run.default_features {
            open.push("default".to_owned());
        }
        if run.all_features {
            open.extend(self.features.keys().cloned());
        }
        while let Some(name) = open.pop() {
            if let Some((name, more)) = self.features.get_key_value(&name)
                && on.insert(name.as_str())
            {
                open.extend(more.iter().cloned());
            }
        }
        on
    }

    /// Whether a call runs a test of a target.
    ///
    /// # Errors
    ///
    /// A condition that is not understood.
    pub(crate) fn is_run(&self, target: &Target, test: &TestFn, run: &Run) -> Result<bool, String> {
        let features = self.features_in(run);
        let is_chosen = run.targets.is_empty()
            || run.targets.contains(&target.chosen)
            || (run.targets.contains(&Chosen::Tests) && matches!(target.chosen, Chosen::Test(_)));
        if !is_chosen
            || run.excluded.contains(&self.name)
            || !(run.packages.is_empty() || run.packages.contains(&self.name))
            || !target.required.iter().all(|feature| features.contains(feature.as_str()))
            || test.variables.iter().any(|name| !run.variables.contains(name))
            || !(run.names.is_empty() || run.names.iter().any(|name| test.path.contains(name)))
        {
            return Ok(false);
        }
        let is_set = |name: &str, value: Option<&str>| is_set(name, value, run, &features);
        for cfg in &test.cfgs {
            if !holds(cfg, &is_set)? {
                return Ok(false);
            }
        }
        let mut is_ignored = false;
        for condition in &test.ignored {
            is_ignored |= holds(condition, &is_set)?;
        }
        Ok(match run.ignored {
            Ignored::Skipped => !is_ignored,
            Ignored::Included => true,
            Ignored::Only => is_ignored,
        })
    }
}

impl Target {
    fn from_metadata(target: &Value) -> Option<Self> {
        if target["test"] != Value::Bool(true) {
            return None;
        }
        let kinds: Vec<String> = array(&target["kind"]).map(text).collect();
        let chosen = match kinds.first()?.as_str() {
            "lib" | "rlib" | "proc-macro" => Chosen::Lib,
            "bin" => Chosen::Bins,
            "test" => Chosen::Test(text(&target["name"])),
            "example" => Chosen::Example(text(&target["name"])),
            _ => return None,
        };
        let required = array(&target["required-features"]).map(text).collect();
        Some(Self { chosen, root: text(&target["src_path"]).into(), required })
    }
}

/// Whether a condition holds.
fn holds(
    condition: &Meta,
    is_set: &impl Fn(&str, Option<&str>) -> Result<bool, String>,
) -> Result<bool, String> {
    let name = condition.path().get_ident().map(ToString::to_string).unwrap_or_default();
    match condition {
        Meta::Path(_) => is_set(&name, None),
        Meta::NameValue(pair) => {
            let Expr::Lit(ExprLit { lit: Lit::Str(value), .. }) = &pair.value else {
                return Err(format!("the condition on `{name}`"));
            };
            is_set(&name, Some(&value.value()))
        }
        Meta::List(list) => {
            let inner = list
                .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                .map_err(|error| format!("a condition: {error}"))?;
            let inner: Vec<_> = inner.iter().map(|inner| holds(inner, is_set)).collect::<Result<_, _>>()?;
            match (name.as_str(), inner.as_slice()) {
                ("all", inner) => Ok(inner.iter().all(|holds| *holds)),
                ("any", inner) => Ok(inner.iter().any(|holds| *holds)),
                ("not", [holds]) => Ok(!holds),
                _ => Err(format!("the condition `{name}(..)`")),
            }
        }
    }
}

/// Whether the compiler sets this in a call. CI runs on Linux.
fn is_set(name: &str, value: Option<&str>, run: &Run, features: &BTreeSet<&str>) -> Result<bool, String> {
    match (name, value) {
        ("test" | "unix", None) => Ok(true),
        ("windows" | "doctest" | "doc" | "miri", None) => Ok(false),
        ("debug_assertions", None) => Ok(!run.release),
        ("feature", Some(feature)) => Ok(features.contains(feature)),
        ("target_os", Some(system)) => Ok(system == "linux"),
        ("target_env", Some(library)) => Ok(library == "gnu"),
        ("target_family", Some(family)) => Ok(family == "unix"),
        (name, None) => Ok(run.cfgs.contains(name)),
        (name, Some(value)) => Err(format!("the condition `{name} = {value:?}`")),
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
