//! The kernel and its modules in memory.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use loader::config::{Config, DEFAULT_MODULE, Protocol};
use loader::elf::{self, Plan};
use loader::error::LoadError;
use loader::paging::LARGE_PAGE_SIZE;
use loader::protocol::{Feature, Requests};
use loader::response::FileFacts;

use super::disk::{Disk, LoadedFile};
use super::pages::Pages;

/// The kernel, loaded but not yet mapped.
pub(super) struct Kernel {
    path: String,
    file: LoadedFile,
    plan: Plan,
    /// The image, behind as many bytes as its address is behind a large page's boundary.
    pages: Pages,
    protocol: Protocol,
    requests: Requests,
}

impl Kernel {
    /// Reads the kernel, loads its segments and finds its requests.
    pub(super) fn load(disk: &mut Disk, config: &Config) -> Result<Self, LoadError> {
        let path = config.kernel.clone();
        let mut file = disk.read(&path)?.ok_or_else(|| LoadError::MissingFile(path.clone()))?;
        let bytes = file.pages.bytes().get(..file.size).unwrap_or_default();
        let bad_file = |error| LoadError::Kernel(path.clone(), error);
        let plan = elf::plan(bytes).map_err(bad_file)?;
        let size = plan.large_page_offset() + plan.image_size();
        let mut pages = Pages::allocate_aligned("the kernel", size, LARGE_PAGE_SIZE)?;
        plan.load(bytes, image(&mut pages, &plan)).map_err(bad_file)?;
        let requests = match config.protocol {
            Protocol::Limine => Requests::find(image(&mut pages, &plan))
                .map_err(|error| LoadError::Requests(path.clone(), error))?,
            Protocol::None => Requests::default(),
        };
        Ok(Self { path, file, plan, pages, protocol: config.protocol, requests })
    }

    /// How to load it.
    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What to boot it with.
    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The base revision it is booted with.
    pub(super) fn base_revision(&self) -> u64 {
        self.requests.base_revision
    }

    /// The entry point that its file names.
    pub(super) fn entry(&self) -> u64 {
        self.plan.entry
    }

    /// Where the image is in memory.
    pub(super) fn physical_base(&self) -> u64 {
        self.pages.address() + self.plan.large_page_offset()
    }

    /// Where the image is linked.
    pub(super) fn virtual_base(&self) -> u64 {
        self.plan.base()
    }

    /// Bytes of the image.
    pub(super) fn image_size(&self) -> u64 {
        self.plan.image_size()
    }

    /// The first request-specific word of the request for `feature`, if it is made.
    pub(super) fn argument(&mut self, feature: Feature) -> Option<u64> {
        let request = self.requests.get(feature)?;
        Some(request.argument(image(&mut self.pages, &self.plan), 0))
    }

    /// The image to answer in, and what is asked.
    pub(super) fn image_and_requests(&mut self) -> (&mut [u8], &Requests) {
        (image(&mut self.pages, &self.plan), &self.requests)
    }

    /// Its file, without a command line.
    pub(super) fn file_facts(&self) -> FileFacts {
        file_facts(&self.path, &self.file)
    }
}

fn image<'pages>(pages: &'pages mut Pages, plan: &Plan) -> &'pages mut [u8] {
    // The pages were made for offset and image, so the defaults are never taken.
    let start = usize::try_from(plan.large_page_offset()).unwrap_or(0);
    pages.bytes().get_mut(start..).unwrap_or_default()
}

fn file_facts(path: &str, file: &LoadedFile) -> FileFacts {
    FileFacts {
        physical_address: file.pages.address(),
        size: file.size as u64,
        path: path.to_string(),
        cmdline: String::new(),
    }
}

/// A file that the kernel gets as it is.
pub(super) struct Module {
    path: String,
    file: LoadedFile,
}

impl Module {
    /// The modules that nacre.conf names, or the default one if it is there.
    pub(super) fn load_all(disk: &mut Disk, config: &Config) -> Result<Vec<Self>, LoadError> {
        if config.modules.is_empty() {
            let file = disk.read(DEFAULT_MODULE)?;
            return Ok(file
                .map(|file| Self { path: DEFAULT_MODULE.to_string(), file })
                .into_iter()
                .collect());
        }
        let load = |path: &String| {
            let file = disk.read(path)?.ok_or_else(|| LoadError::MissingFile(path.clone()))?;
            Ok(Self { path: path.clone(), file })
        };
        config.modules.iter().map(load).collect()
    }

    /// What the kernel is told about it.
    pub(super) fn facts(&self) -> FileFacts {
        file_facts(&self.path, &self.file)
    }
}
