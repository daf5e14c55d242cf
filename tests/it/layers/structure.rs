//! What is counted of the source's structure: circles between files, names that are defined twice, `impl` blocks away from
//! their type, and long functions.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{ModulePath, Source, Sources};

/// Files or folders of one module that depend on one another, each with what it depends on among them.
pub(crate) type Circle = BTreeMap<String, BTreeSet<String>>;

/// Returns the circles of each module, between its own file, which is called `mod`, the files and the folders in it.
pub(crate) fn circles(sources: &Sources) -> BTreeMap<String, Vec<Circle>> {
    let mut by_module: BTreeMap<ModulePath, Circle> = BTreeMap::new();
    for source in sources.iter() {
        for target in sources.dependencies(source) {
            if let Some((module, from, to)) = step(&source.module, target) {
                let edges = by_module.entry(module).or_default();
                edges.entry(from).or_default().insert(to);
            }
        }
    }
    let found = by_module.into_iter().map(|(module, edges)| {
        let name = if module.is_empty() {
            "crate".to_owned()
        } else {
            module.join("/")
        };
        (name, circles_of(&edges))
    });
    found.filter(|(_, circles)| !circles.is_empty()).collect()
}

/// Returns the module in which two files part, and the part of each in it.
fn step(from: &[String], to: &[String]) -> Option<(ModulePath, String, String)> {
    let common = from.iter().zip(to).take_while(|(from, to)| from == to);
    let common = common.count();
    let part = |path: &[String]| path.get(common).map_or("mod", String::as_str).to_owned();
    // A file that holds a folder's own items names what is in the folder, to declare it and to hand it out.
    (from != to).then(|| (from[..common].to_vec(), part(from), part(to)))
}

/// Returns the sets of nodes each of which reaches all others of its set.
pub(crate) fn circles_of(edges: &Circle) -> Vec<Circle> {
    let reach = |start: &String| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&String> = edges.get(start).into_iter().flatten().collect();
        while let Some(node) = next.pop() {
            if reached.insert(node) {
                next.extend(edges.get(node).into_iter().flatten());
            }
        }
        reached
    };
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        edges.keys().map(|node| (node, reach(node))).collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (node, reaches) in &reached {
        if !reaches.contains(node) || seen.contains(node) {
            continue;
        }
        let members: BTreeSet<&String> = reaches
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|back| back.contains(node)))
            .copied()
            .collect();
        seen.extend(members.iter().copied());
        let among = |node: &String| {
            let targets = edges[node].iter().filter(|target| members.contains(target));
            targets.cloned().collect()
        };
        found.push(
            members
                .iter()
                .map(|node| ((*node).clone(), among(node)))
                .collect(),
        );
    }
    found
}

/// Returns the type names that more than one file defines, each with its files.
pub(crate) fn duplicate_types(sources: &Sources) -> BTreeMap<&str, Vec<&str>> {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for source in sources.iter() {
        for name in &source.types {
            files.entry(name).or_default().push(&source.file);
        }
    }
    files.retain(|_, files| files.len() > 1);
    files
}

/// Returns the types of the crate that have an inherent `impl` in a file that does not define them, each with that file.
pub(crate) fn distant_impls(sources: &Sources) -> Vec<(&str, &str)> {
    let is_distant = |source: &Source, name: &String| !source.types.contains(name);
    let mut found: Vec<(&str, &str)> = sources
        .iter()
        .flat_map(|source| {
            let distant = source.impls.iter().filter(|name| is_distant(source, name));
            distant.map(|name| (name.as_str(), source.file.as_str()))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Returns the functions of more than `limit` lines, the longest first.
pub(crate) fn long_functions(sources: &Sources, limit: usize) -> Vec<(usize, &str, &str)> {
    let mut found: Vec<(usize, &str, &str)> = sources
        .iter()
        .flat_map(|source| {
            let long = source.functions.iter().filter(|one| one.lines > limit);
            long.map(|one| (one.lines, one.name.as_str(), source.file.as_str()))
        })
        .collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found
}

/// Returns the lines of each top-level folder of `src`, without test modules.
pub(crate) fn lines_by_folder(sources: &Sources) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    for source in sources.iter() {
        let folder = source.module.first().map_or("", String::as_str);
        *lines.entry(format!("src/{folder}")).or_default() += source.lines;
    }
    lines
}
