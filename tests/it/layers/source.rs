//! The source files of the crate, parsed: modules, the items that each defines, and the paths that it names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Names of nested modules from the crate's root on.
pub(crate) type ModulePath = Vec<String>;

/// A file below `src` that is no test.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the repository's root on.
    pub(crate) file: String,
    pub(crate) module: ModulePath,
    /// Structs, enums, traits, unions and type aliases.
    pub(crate) types: Vec<String>,
    /// The types that have an inherent `impl` here, by the last word of their path.
    pub(crate) impls: Vec<String>,
    pub(crate) functions: Vec<Function>,
    /// Without its test modules.
    pub(crate) lines: usize,
    /// What `use` declarations bring in: the name here, and the whole path.
    uses: Vec<(String, ModulePath)>,
    /// The paths in code, as written.
    paths: Vec<ModulePath>,
}

/// A function or a method.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) lines: usize,
}

/// All files of the crate by their module.
#[derive(Debug)]
pub(crate) struct Sources(BTreeMap<ModulePath, Source>);

impl Sources {
    /// Parses the files below `src`, without test modules.
    ///
    /// # Panics
    ///
    /// Where a file cannot be read or parsed.
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut sources = BTreeMap::new();
        for path in files(&root.join("src")) {
            let file = path.strip_prefix(root).expect("it is below the root");
            let file = file.display().to_string();
            let module = module_of(&file);
            if module.iter().any(|name| name == "tests") || file == "src/main.rs" {
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source file is readable");
            let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
            let mut source = Source {
                file,
                module: module.clone(),
                types: Vec::new(),
                impls: Vec::new(),
                functions: Vec::new(),
                lines: text.lines().count(),
                uses: Vec::new(),
                paths: Vec::new(),
            };
            source.visit_file(&parsed);
            sources.insert(module, source);
        }
        Self(sources)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.values()
    }

    /// Returns the modules that define what a file names, without its own.
    pub(crate) fn dependencies(&self, source: &Source) -> Vec<&ModulePath> {
        let uses = source.uses.iter().map(|(_, path)| path.clone());
        let paths = source.paths.iter().map(|path| {
            let used = source.uses.iter().find(|(name, _)| *name == path[0]);
            used.map_or_else(
                || path.clone(),
                |(_, used)| used.iter().chain(&path[1..]).cloned().collect(),
            )
        });
        let mut found: Vec<&ModulePath> = uses
            .chain(paths)
            .filter_map(|path| self.home(&source.module, &path, 0))
            .filter(|home| **home != source.module)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns the module of the file that defines what `path` names when it stands in `module`; nothing for other crates.
    fn home(&self, module: &[String], path: &[String], depth: usize) -> Option<&ModulePath> {
        let mut at = module.to_vec();
        let mut rest = path;
        let (first, after) = path.split_first()?;
        match first.as_str() {
            "crate" => (at, rest) = (Vec::new(), after),
            "self" => rest = after,
            "super" => {}
            name if self.0.contains_key(&child(module, name)) => {}
            _ => return None,
        }
        while let Some((first, after)) = rest.split_first() {
            if first == "super" {
                at.pop()?;
            } else if self.0.contains_key(&child(&at, first)) {
                at.push(first.clone());
            } else {
                break;
            }
            rest = after;
        }
        let (home, source) = self.0.get_key_value(&at)?;
        let Some(name) = rest.first() else {
            return Some(home);
        };
        // A name that is brought in here has its home elsewhere.
        let used = source.uses.iter().filter(|(used, _)| used == name);
        let used = used.filter(|_| depth < 8 && !source.types.contains(name));
        let mut elsewhere = used.map(|(_, path)| self.home(&at, path, depth + 1));
        elsewhere.next_back().flatten().or(Some(home))
    }
}

impl Source {
    fn add_use(&mut self, tree: &syn::UseTree, before: &mut ModulePath) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_use(&path.tree, before);
                before.pop();
            }
            syn::UseTree::Name(name) => self.add_name(&name.ident, &name.ident, before),
            syn::UseTree::Rename(rename) => self.add_name(&rename.rename, &rename.ident, before),
            syn::UseTree::Glob(_) => self.uses.push(("*".to_owned(), before.clone())),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(tree, before);
                }
            }
        }
    }

    fn add_name(&mut self, here: &syn::Ident, there: &syn::Ident, before: &ModulePath) {
        if there == "self" {
            let here = before.last().cloned().unwrap_or_default();
            self.uses.push((here, before.clone()));
        } else {
            self.uses
                .push((here.to_string(), child(before, &there.to_string())));
        }
    }

    fn add_function(&mut self, signature: &syn::Signature, whole: proc_macro2::Span) {
        self.functions.push(Function {
            name: signature.ident.to_string(),
            lines: whole.end().line - signature.span().start().line + 1,
        });
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let is_test = attributes(item).iter().any(|attribute| {
            let text = attribute.meta.path().get_ident().map(ToString::to_string);
            text.as_deref() == Some("cfg")
                && attribute
                    .parse_args::<syn::Ident>()
                    .is_ok_and(|flag| flag == "test")
        });
        if is_test {
            let span = item.span();
            self.lines -= span.end().line - span.start().line + 1;
            return;
        }
        match item {
            syn::Item::Use(item) => self.add_use(&item.tree, &mut Vec::new()),
            syn::Item::Struct(item) => self.types.push(item.ident.to_string()),
            syn::Item::Enum(item) => self.types.push(item.ident.to_string()),
            syn::Item::Union(item) => self.types.push(item.ident.to_string()),
            syn::Item::Trait(item) => self.types.push(item.ident.to_string()),
            syn::Item::Type(item) => self.types.push(item.ident.to_string()),
            syn::Item::Impl(item) if item.trait_.is_none() => {
                if let syn::Type::Path(path) = &*item.self_ty
                    && let Some(last) = path.path.segments.last()
                {
                    self.impls.push(last.ident.to_string());
                }
            }
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add_function(&function.sig, function.span());
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add_function(&function.sig, function.span());
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words = path.segments.iter();
        let words: ModulePath = words.map(|segment| segment.ident.to_string()).collect();
        if words.len() > 1 {
            self.paths.push(words);
        }
        visit::visit_path(self, path);
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {
        // Who may see an item is no dependency.
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Const(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns the path of a module of that name in `module`.
pub(crate) fn child(module: &[String], name: &str) -> ModulePath {
    let names = module.iter().cloned();
    names.chain([name.to_owned()]).collect()
}

/// Returns the module that a file holds: none for the crate's root.
fn module_of(file: &str) -> ModulePath {
    let inside = file.trim_start_matches("src/").trim_end_matches(".rs");
    let names = inside.split('/').map(str::to_owned);
    let mut module: ModulePath = names.collect();
    if module.last().is_some_and(|name| name == "mod") || module == ["lib"] {
        module.pop();
    }
    module
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a source folder is readable") {
        let path = entry.expect("its entries are readable").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
