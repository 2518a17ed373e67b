//! Test functions as they stand in the source.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, Block, Expr, ExprLit, Item, Lit, Meta, Stmt, Token, parse_quote};

/// One test function, compiled as a part of one target.
#[derive(Clone)]
pub(crate) struct TestFn {
    /// The file that it stands in.
    pub(crate) file: PathBuf,
    /// The modules around it, from the root of its target, and its name.
    pub(crate) path: String,
    /// What must hold for it to be compiled.
    pub(crate) cfgs: Vec<Meta>,
    /// It is ignored when one of these holds.
    pub(crate) ignored: Vec<Meta>,
    /// Variables of the environment without which it returns at once.
    pub(crate) variables: Vec<String>,
}

impl TestFn {
    /// Whether this is what it is called in its file. More than its name may be given.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.path == name || self.path.strip_suffix(name).is_some_and(|before| before.ends_with("::"))
    }
}

/// Every test function of a target whose root is this file: the modules that it declares, and theirs.
///
/// # Errors
///
/// A file that cannot be read, or is not Rust.
pub(crate) fn tests_of(root: &Path) -> Result<Vec<TestFn>, String> {
    let mut found = Vec::new();
    let beside = root.parent().unwrap_or(Path::new("")).to_owned();
    Scope { file: root.to_owned(), beside, path: String::new(), cfgs: Vec::new() }.file(&mut found)?;
    Ok(found)
}

/// A module that is being read.
struct Scope {
    file: PathBuf,
    /// The folder of the files of its modules.
    beside: PathBuf,
    path: String,
    cfgs: Vec<Meta>,
}

impl Scope {
    fn file(mut self, found: &mut Vec<TestFn>) -> Result<(), String> {
        let text = fs::read_to_string(&self.file)
            .map_err(|error| format!("could not read {}: {error}", self.file.display()))?;
        let file = syn::parse_file(&text)
            .map_err(|error| format!("could not parse {}: {error}", self.file.display()))?;
        self.cfgs.extend(conditions(&file.attrs, "cfg"));
        self.items(&file.items, found)
    }

    fn items(&self, items: &[Item], found: &mut Vec<TestFn>) -> Result<(), String> {
        let consts: Vec<_> = items.iter().filter_map(text_of).collect();
        for item in items {
            if let Item::Fn(function) = item {
                let name = function.sig.ident.to_string();
                let variables = looks_away(&function.block, &consts);
                self.function(&function.attrs, &name, variables, found);
            } else if let Item::Mod(module) = item {
                let name = module.ident.to_string();
                let inner = Self {
                    file: self.file.clone(),
                    beside: self.beside.join(&name),
                    path: self.within(&name),
                    cfgs: [self.cfgs.clone(), conditions(&module.attrs, "cfg")].concat(),
                };
                match &module.content {
                    Some((_, items)) => inner.items(items, found)?,
                    None => self.declared(&name, &module.attrs, inner).file(found)?,
                }
            } else if let Item::Macro(call) = item
                && call.mac.path.segments.last().is_some_and(|last| last.ident == "proptest")
            {
                for (attributes, name) in functions_in(call.mac.tokens.clone()) {
                    self.function(&attributes, &name, Vec::new(), found);
                }
            }
        }
        Ok(())
    }

    /// The module of a file of its own.
    fn declared(&self, name: &str, attributes: &[Attribute], inner: Self) -> Self {
        let named = attributes.iter().find_map(|attribute| {
            let Meta::NameValue(pair) = &attribute.meta else { return None };
            let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { return None };
            pair.path.is_ident("path").then(|| text.value())
        });
        let parent = self.file.parent().unwrap_or(Path::new(""));
        let (file, beside) = match named {
            Some(path) => (parent.join(path), parent.to_owned()),
            None => {
                let own = self.beside.join(format!("{name}.rs"));
                let file = if own.exists() { own } else { self.beside.join(name).join("mod.rs") };
                (file, self.beside.join(name))
            }
        };
        Self { file, beside, ..inner }
    }

    fn function(
        &self,
        attributes: &[Attribute],
        name: &str,
        variables: Vec<String>,
        found: &mut Vec<TestFn>,
    ) {
        let is_test =
            |attribute: &Attribute| attribute.path().segments.last().is_some_and(|last| last.ident == "test");
        if attributes.iter().any(is_test) {
            found.push(TestFn {
                file: self.file.clone(),
                path: self.within(name),
                cfgs: [self.cfgs.clone(), conditions(attributes, "cfg")].concat(),
                ignored: conditions(attributes, "ignore"),
                variables,
            });
        }
    }

    fn within(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}::{name}", self.path) }
    }
}

/// The conditions of `#[cfg(..)]`, or those under which `#[ignore]` is there.
fn conditions(attributes: &[Attribute], name: &str) -> Vec<Meta> {
    let mut found = Vec::new();
    for attribute in attributes {
        if attribute.path().is_ident("cfg_attr") {
            let list = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            let Ok(list) = list else { continue };
            let mut list = list.into_iter();
            let Some(condition) = list.next() else { continue };
            for then in list.filter(|then| then.path().is_ident(name)) {
                found.push(match then {
                    Meta::List(inner) if name == "cfg" => {
                        let inner = inner.tokens;
                        parse_quote!(any(not(#condition), #inner))
                    }
                    Meta::List(_) | Meta::Path(_) | Meta::NameValue(_) => condition.clone(),
                });
            }
        } else if attribute.path().is_ident(name) {
            // `#[ignore]` and `#[ignore = "why"]` hold always.
            found.push(
                if name == "cfg" { attribute.parse_args() } else { Ok(parse_quote!(all())) }
                    .unwrap_or_else(|_| parse_quote!(not_understood = "it")),
            );
        }
    }
    found
}

/// Variables without which a body that says `let Some(folder) = env::var_os("NAME") else { return };`, or the same with
/// an `if`, does nothing. One whose name is not found is nobody's.
fn looks_away(body: &Block, consts: &[(String, String)]) -> Vec<String> {
    let local = body.stmts.iter().filter_map(|statement| match statement {
        Stmt::Item(item) => text_of(item),
        Stmt::Local(_) | Stmt::Expr(..) | Stmt::Macro(_) => None,
    });
    let consts: Vec<_> = consts.iter().cloned().chain(local).collect();
    let asked = body.stmts.iter().filter_map(|statement| {
        let (asks, otherwise) = match statement {
            Stmt::Local(local) => {
                let init = local.init.as_ref()?;
                let Expr::Block(otherwise) = &*init.diverge.as_ref()?.1 else { return None };
                (&init.expr, &otherwise.block)
            }
            Stmt::Expr(Expr::If(asks), _) => (&asks.cond, &asks.then_branch),
            Stmt::Expr(..) | Stmt::Item(_) | Stmt::Macro(_) => return None,
        };
        let does_nothing = otherwise.stmts.iter().all(|statement| {
            matches!(statement, Stmt::Macro(_) | Stmt::Expr(Expr::Return(_) | Expr::Macro(_), _))
        });
        let name = if does_nothing { asked_for(asks.to_token_stream())? } else { return None };
        let known = consts.iter().find(|(known, _)| *known == name);
        Some(match (name.strip_prefix('"'), known) {
            (Some(name), _) => name.trim_end_matches('"').to_owned(),
            (None, Some((_, text))) => text.clone(),
            (None, None) => String::new(),
        })
    });
    asked.collect()
}

/// What stands first in the brackets after `var` or `var_os`.
fn asked_for(tokens: TokenStream) -> Option<String> {
    let mut is_next = false;
    for token in tokens {
        match token {
            TokenTree::Ident(word) => is_next = word == "var" || word == "var_os",
            TokenTree::Group(group) if is_next => {
                return Some(
                    group.stream().into_iter().next().map_or_else(String::new, |first| first.to_string()),
                );
            }
            TokenTree::Group(group) => {
                if let Some(found) = asked_for(group.stream()) {
                    return Some(found);
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => is_next = false,
        }
    }
    None
}

/// The name and the text of a constant that is one.
fn text_of(item: &Item) -> Option<(String, String)> {
    let Item::Const(constant) = item else { return None };
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &*constant.expr else { return None };
    Some((constant.ident.to_string(), text.value()))
}

/// The functions that stand in a `proptest!`, with their attributes.
fn functions_in(tokens: TokenStream) -> Vec<(Vec<Attribute>, String)> {
    let mut found = Vec::new();
    let mut attributes = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(hash) if hash.as_char() == '#' => {
                if let Some(TokenTree::Group(group)) = tokens.peek()
                    && let Ok(meta) = syn::parse2::<Meta>(group.stream())
                {
                    attributes.push(parse_quote!(#[#meta]));
                }
            }
            TokenTree::Ident(word) if word == "fn" => {
                if let Some(TokenTree::Ident(name)) = tokens.next() {
                    found.push((std::mem::take(&mut attributes), name.to_string()));
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Group(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = r##"
        #![cfg(unix)]
        mod support;
        #[path = "elsewhere.rs"]
        mod other;
        fn no_test() {}
        #[test]
        fn plain() { #[test] fn inside() {} }
        #[test]
        #[cfg(feature = "x")]
        #[ignore = "why"]
        fn barred() {}
        #[test]
        fn only_if() {
            let word = "else";
            let Some(folder) = std::env::var_os("SMALL_DISK") else { return };
            let Ok(other) = env::var(OTHER) else { return };
            const THIRD: &str = "THIRD_DISK";
            if std::env::var_os(THIRD).is_none() { println!("no disk"); return; }
            let Some(more) = std::env::var_os("MORE") else { goes_on(); return };
            let home = std::env::var("HOME").unwrap();
            if home.is_empty() { return }
        }
        #[cfg_attr(windows, ignore, cfg(feature = "y"))]
        #[tokio::test]
        async fn later() {}
        proptest::proptest! {
            #![proptest_config(cases(3))]
            #[test]
            #[ignore]
            fn any(number in 0..3, word in "fn nothing") { fn inside() {} }
            fn no_test_either(number in 0..3) {}
            #[test] fn another(x: u8) {}
        }
        #[cfg(test)]
        mod inner {
            mod deep;
            #[test] fn plain() {}
        }
        // #[test] fn in_a_comment() {}
        const TEXT: &str = "#[test] fn in_a_text() {}";
    "##;

    #[test]
    fn tests_are_found_where_the_compiler_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("root.rs", ROOT);
        write("support/mod.rs", "mod more; #[test] fn supported() {}");
        write("support/more.rs", "#[test] fn more() {}");
        write("elsewhere.rs", "#[test] fn other() {}");
        write("inner/deep.rs", "#[test] fn deep() {}");
        write("nobody.rs", "#[test] fn of_no_module() {}");
        let found: Vec<_> = tests_of(&folder.path().join("root.rs"))
            .unwrap()
            .into_iter()
            .map(|test| {
                let file = test.file.strip_prefix(folder.path()).unwrap().display().to_string();
                (file, test.path, test.cfgs.len(), test.ignored.len(), test.variables.join(" "))
            })
            .collect();
        let expected = [
            ("support/more.rs", "support::more::more", 1, 0, ""),
            ("support/mod.rs", "support::supported", 1, 0, ""),
            ("elsewhere.rs", "other::other", 1, 0, ""),
            ("root.rs", "plain", 1, 0, ""),
            ("root.rs", "barred", 2, 1, ""),
            ("root.rs", "only_if", 1, 0, "SMALL_DISK  THIRD_DISK"),
            ("root.rs", "later", 2, 1, ""),
            ("root.rs", "any", 1, 1, ""),
            ("root.rs", "another", 1, 0, ""),
            ("inner/deep.rs", "inner::deep::deep", 2, 0, ""),
            ("root.rs", "inner::plain", 2, 0, ""),
        ];
        let expected = expected
            .map(|(file, path, cfgs, ignored, only)| (file.into(), path.into(), cfgs, ignored, only.into()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_that_is_missing_or_no_rust_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["mod missing;", "fn {"] {
            fs::write(folder.path().join("root.rs"), text).unwrap();
            assert!(tests_of(&folder.path().join("root.rs")).is_err(), "{text}");
        }
    }
}
