//! Which modules go into the ramdisk, and the table that tells the agent how to load them.

use crate::kernel::KernelTree;
use crate::modinfo::{ModInfo, normal_name};
use crate::{Error, file_error, modinfo};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A list as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModuleList(Vec<Wish>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    name: String,
    is_loaded_always: bool,
    is_optional: bool,
}

impl ModuleList {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut wishes = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let code = line.split('#').next().unwrap_or_default();
            let mut words = code.split_whitespace();
            let Some(name) = words.next() else { continue };
            let bad = || Error::List { line: index + 1, text: line.trim().to_owned() };
            if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
                return Err(bad());
            }
            let mut wish = Wish { name: normal_name(name), is_loaded_always: false, is_optional: false };
            for word in words {
                match word {
                    "load" => wish.is_loaded_always = true,
                    "optional" => wish.is_optional = true,
                    _ => return Err(bad()),
                }
            }
            wishes.push(wish);
        }
        Ok(Self(wishes))
    }
}

/// A module in the ramdisk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    pub name: String,
    pub path: String,
    info: ModInfo,
    is_wished: bool,
    is_loaded_always: bool,
}

/// What was chosen, by name.
#[derive(Debug)]
pub(crate) struct Selection {
    pub modules: Vec<Module>,
    pub left_out: Vec<String>,
}

impl Selection {
    /// The list's modules and all that they depend on.
    pub(crate) fn choose(tree: &KernelTree, list: &ModuleList) -> Result<Self, Error> {
        let mut chosen = BTreeMap::<String, Module>::new();
        let (mut missing, mut left_out) = (Vec::new(), Vec::new());
        for wish in &list.0 {
            if tree.builtin.contains(&wish.name) {
                continue;
            }
            if !tree.modules.contains_key(&wish.name) {
                if wish.is_optional { &mut left_out } else { &mut missing }.push(wish.name.clone());
                continue;
            }
            let mut open = vec![wish.name.clone()];
            while let Some(name) = open.pop() {
                if chosen.contains_key(&name) || tree.builtin.contains(&name) {
                    continue;
                }
                let Some(path) = tree.modules.get(&name) else {
                    missing.push(format!("{name} (needed by {})", wish.name));
                    continue;
                };
                let file = tree.root.join(path);
                let bytes = std::fs::read(&file).map_err(file_error("reading", &file))?;
                let info = modinfo::read(&bytes).ok_or_else(|| Error::Kernel {
                    path: file,
                    problem: "it is no kernel module, or a compressed one".to_owned(),
                    remedy: "take a kernel whose modules are not compressed, such as Debian 12's",
                })?;
                open.extend(info.depends.iter().cloned());
                let module = Module {
                    name: name.clone(),
                    path: path.clone(),
                    info,
                    is_wished: false,
                    is_loaded_always: false,
                };
                chosen.insert(name, module);
            }
            if let Some(module) = chosen.get_mut(&wish.name) {
                module.is_wished = true;
                module.is_loaded_always |= wish.is_loaded_always;
            }
        }
        if !missing.is_empty() {
            return Err(Error::MissingModules { release: tree.release.clone(), names: missing });
        }
        Ok(Self { modules: chosen.into_values().collect(), left_out })
    }

    /// `/etc/billet/modules`: see the agent's `init/modules.rs`. Only what was asked for by name is loaded for devices; what came
    /// along as a dependency is loaded with it.
    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        // Writing to a String cannot fail.
        for module in &self.modules {
            let depends =
                if module.info.depends.is_empty() { "-".to_owned() } else { module.info.depends.join(",") };
            let _ = writeln!(table, "module {} {} {depends}", module.name, module.path);
        }
        for module in self.modules.iter().filter(|module| module.is_wished) {
            for alias in &module.info.aliases {
                let _ = writeln!(table, "alias {alias} {}", module.name);
            }
            if module.is_loaded_always {
                let _ = writeln!(table, "load {}", module.name);
            }
        }
        table
    }
}
