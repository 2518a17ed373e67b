//! Assets, groups and looks in memory.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use trainyard_core::Timestamp;
use trainyard_heygen::{
    Asset, AssetId, Group, GroupId, Host, HostError, Look, LookId, LookState, Media, NewAsset, NewGroup,
    NewLooks, Picture, Refused, Upload,
};
use uuid::Uuid;

pub const GROUPS_MAX: usize = 3;
pub const LOOKS_MAX: usize = 10;
pub const ASSETS_MAX: usize = 50;

#[derive(Default)]
pub struct MemoryHost {
    state: Arc<Mutex<State>>,
    /// Told whenever an upload begins or is over.
    changed: Arc<Condvar>,
    /// Everything fails from now on.
    pub broken: Arc<AtomicBool>,
    /// Nothing more is taken from now on.
    pub busy: AtomicBool,
    /// There is no room for another byte from now on.
    pub full: Arc<AtomicBool>,
    /// Whoever asks for anything finds a bug.
    pub panics: AtomicBool,
    /// Whether there is a group can be said without waiting.
    pub says_at_once: AtomicBool,
    /// Whoever finishes an upload has to wait, or drops one.
    workshop: Arc<Workshop>,
    /// Whoever has looked at the looks of a group has to wait, and knows what was there before.
    gallery: Workshop,
    /// Whoever writes a piece of a file has to wait.
    pub desk: Arc<Workshop>,
    /// When it is not 0: nobody may begin an upload while so many are under way.
    pub places: AtomicUsize,
}

/// Where somebody may be held up.
#[derive(Default)]
pub struct Workshop {
    /// How many are at it, and whether they are held up.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Workshop {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |(_, held)| *held).unwrap();
        state.0 -= 1;
    }

    pub fn hold(&self, held: bool) {
        self.state.lock().unwrap().1 = held;
        self.changed.notify_all();
    }

    /// Whether so many are at it together within this time.
    pub fn has(&self, so_many: usize, time: Duration) -> bool {
        let state = self.state.lock().unwrap();
        let waited = self.changed.wait_timeout_while(state, time, |(at_it, _)| *at_it < so_many);
        !waited.unwrap().1.timed_out()
    }
}

#[derive(Default)]
struct State {
    assets: BTreeMap<AssetId, (Asset, Vec<u8>)>,
    /// Oldest first.
    groups: Vec<(GroupId, String, Timestamp)>,
    /// Oldest first.
    looks: Vec<Look>,
    ids: u128,
    /// What was asked.
    asked: Vec<&'static str>,
    /// Uploads under way, and their largest write.
    open: usize,
    largest_write: usize,
}

impl State {
    fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids << 64)
    }

    fn look(&mut self, id: LookId, group: GroupId, name: &str, image: AssetId, at: Timestamp) -> Look {
        let name = name.to_owned();
        let look = Look { id, group, name, image, created_at: at, state: LookState::Pending };
        self.looks.push(look.clone());
        look
    }

    fn check_images(&self, images: &[AssetId]) -> Result<(), Refused> {
        let is_image = |id| self.assets.get(id).is_some_and(|(asset, _)| asset.media.is_image());
        match images.iter().find(|image| !is_image(*image)) {
            Some(image) => Err(Refused::NoImage(*image)),
            None => Ok(()),
        }
    }

    fn group(&self, id: GroupId) -> Option<Group> {
        let (_, name, created_at) = self.groups.iter().find(|(known, ..)| *known == id)?;
        let mut looks = self.looks.iter().filter(|look| look.group == id);
        let preview = looks.clone().next().map(|look| look.image);
        let (name, created_at) = (name.clone(), *created_at);
        Some(Group { id, name, created_at, looks: u64::try_from(looks.by_ref().count()).unwrap(), preview })
    }
}

impl MemoryHost {
    pub fn set(&self, id: LookId, to: LookState) {
        let mut state = self.state.lock().unwrap();
        state.looks.iter_mut().find(|look| look.id == id).unwrap().state = to;
    }

    /// Every look is completed.
    pub fn complete(&self) {
        self.state.lock().unwrap().looks.iter_mut().for_each(|look| look.state = LookState::Completed);
    }

    /// A group gets so many completed looks, of its first one's image.
    pub fn fill(&self, group: GroupId, looks: usize) {
        let mut state = self.state.lock().unwrap();
        let first = state.looks.iter().find(|look| look.group == group).unwrap().clone();
        let there = state.looks.iter().filter(|look| look.group == group).count();
        for _ in there..looks {
            let id = LookId::new(state.id());
            state.looks.push(Look { id, state: LookState::Completed, ..first.clone() });
        }
    }

    pub fn file(&self, id: AssetId) -> Option<(Media, Vec<u8>)> {
        self.state.lock().unwrap().assets.get(&id).map(|(asset, file)| (asset.media, file.clone()))
    }

    pub fn files(&self) -> usize {
        self.state.lock().unwrap().assets.len()
    }

    pub fn remove_file(&self, id: AssetId) {
        self.state.lock().unwrap().assets.remove(&id);
    }

    /// What was asked since this was asked last.
    pub fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    /// Blocks the test until so many uploads are under way.
    pub fn wait_for_open(&self, uploads: usize) {
        let state = self.state.lock().unwrap();
        let patience = Duration::from_secs(60);
        let waited = self.changed.wait_timeout_while(state, patience, |state| state.open != uploads);
        let (state, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "{} uploads are under way", state.open);
    }

    pub fn largest_write(&self) -> usize {
        self.state.lock().unwrap().largest_write
    }

    /// Whoever finishes an upload or gives one up from now on has to wait, or nobody any more.
    pub fn hold_workshop(&self, held: bool) {
        self.workshop.hold(held);
    }

    /// Whether so many uploads are finished or given up together within this time.
    pub fn works_on(&self, uploads: usize, time: Duration) -> bool {
        self.workshop.has(uploads, time)
    }

    /// Whoever looks at looks from now on has to wait afterwards, or nobody any more.
    pub fn hold_gallery(&self, held: bool) {
        self.gallery.hold(held);
    }

    /// Blocks the test until somebody waits there.
    pub fn wait_for_gallery(&self) {
        assert!(self.gallery.has(1, Duration::from_secs(60)), "nobody looks at looks");
    }

    /// Whether a group is deleted within this time.
    pub fn deletes(&self, time: Duration) -> bool {
        let state = self.state.lock().unwrap();
        let waited =
            self.changed.wait_timeout_while(state, time, |state| !state.asked.contains(&"delete_group"));
        !waited.unwrap().1.timed_out()
    }

    fn ask(&self, what: &'static str) -> Result<std::sync::MutexGuard<'_, State>, HostError> {
        assert!(!self.panics.load(Ordering::SeqCst), "a bug of the host's");
        let mut state = self.state.lock().unwrap();
        state.asked.push(what);
        match self.broken.load(Ordering::SeqCst) {
            true => Err(HostError::new("a secret cause")),
            false => Ok(state),
        }
    }

    fn ask_to_change(&self, what: &'static str) -> Result<std::sync::MutexGuard<'_, State>, Refused> {
        if self.busy.load(Ordering::SeqCst) {
            return Err(Refused::Busy);
        }
        Ok(self.ask(what)?)
    }
}

impl Host for MemoryHost {
    fn receive(&self, asset: NewAsset) -> Result<Box<dyn Upload>, Refused> {
        let mut state = self.ask_to_change("receive")?;
        let places = self.places.load(Ordering::SeqCst);
        assert!(places == 0 || state.open < places, "a seat came free before its place");
        state.open += 1;
        drop(state);
        self.changed.notify_all();
        Ok(Box::new(Incoming {
            asset,
            state: Arc::clone(&self.state),
            changed: Arc::clone(&self.changed),
            broken: Arc::clone(&self.broken),
            full: Arc::clone(&self.full),
            workshop: Arc::clone(&self.workshop),
            desk: Arc::clone(&self.desk),
            is_over: false,
            bytes: Vec::new(),
        }))
    }

    fn create_group(&self, new: NewGroup) -> Result<Look, Refused> {
        let mut state = self.ask_to_change("create_group")?;
        state.check_images(&[new.image])?;
        if state.groups.len() >= GROUPS_MAX {
            return Err(Refused::TooMany { what: "groups", max: u64::try_from(GROUPS_MAX).unwrap() });
        }
        let id = GroupId::new(state.id());
        state.groups.push((id, new.name.clone(), new.at));
        Ok(state.look(id.first_look(), id, &new.name, new.image, new.at))
    }

    fn add_looks(&self, new: NewLooks) -> Result<Vec<Look>, Refused> {
        let mut state = self.ask_to_change("add_looks")?;
        let group = state.group(new.group).ok_or(Refused::Gone)?;
        state.check_images(&new.images)?;
        if usize::try_from(group.looks).unwrap() + new.images.len() > LOOKS_MAX {
            return Err(Refused::TooMany { what: "looks", max: u64::try_from(LOOKS_MAX).unwrap() });
        }
        let mut added = Vec::new();
        for image in new.images {
            let id = LookId::new(state.id());
            added.push(state.look(id, new.group, &new.name, image, new.at));
        }
        Ok(added)
    }

    fn groups(&self) -> Result<Vec<Group>, HostError> {
        let state = self.ask("groups")?;
        Ok(state.groups.iter().rev().map(|(id, ..)| state.group(*id).unwrap()).collect())
    }

    fn group(&self, id: GroupId) -> Result<Option<Group>, HostError> {
        Ok(self.ask("group")?.group(id))
    }

    fn has_group(&self, id: GroupId) -> Option<bool> {
        let is_said = self.says_at_once.load(Ordering::SeqCst);
        is_said.then(|| self.state.lock().unwrap().group(id).is_some())
    }

    fn looks(&self, group: GroupId) -> Result<Option<Vec<Look>>, HostError> {
        let state = self.ask("looks")?;
        let looks = state.looks.iter().filter(|look| look.group == group).cloned().collect();
        let found = state.group(group).map(|_| looks);
        drop(state);
        self.gallery.pass();
        Ok(found)
    }

    fn look(&self, id: LookId) -> Result<Option<Look>, HostError> {
        Ok(self.ask("look")?.looks.iter().find(|look| look.id == id).cloned())
    }

    fn delete_look(&self, id: LookId) -> Result<bool, HostError> {
        let mut state = self.ask("delete_look")?;
        let before = state.looks.len();
        state.looks.retain(|look| look.id != id);
        Ok(state.looks.len() < before)
    }

    fn delete_group(&self, id: GroupId) -> Result<bool, HostError> {
        let mut state = self.ask("delete_group")?;
        let before = state.groups.len();
        state.groups.retain(|(known, ..)| *known != id);
        state.looks.retain(|look| look.group != id);
        self.changed.notify_all();
        Ok(state.groups.len() < before)
    }

    fn picture(&self, id: AssetId) -> Result<Option<Picture>, HostError> {
        let state = self.ask("picture")?;
        let found = state.assets.get(&id).cloned();
        Ok(found.map(|(asset, file)| Picture {
            media: asset.media,
            bytes: u64::try_from(file.len()).unwrap(),
            content: Box::new(Cursor::new(file)),
        }))
    }
}

struct Incoming {
    asset: NewAsset,
    state: Arc<Mutex<State>>,
    changed: Arc<Condvar>,
    broken: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
    workshop: Arc<Workshop>,
    desk: Arc<Workshop>,
    is_over: bool,
    bytes: Vec<u8>,
}

impl Upload for Incoming {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(HostError::new("a secret cause").into());
        }
        if self.full.load(Ordering::SeqCst) {
            return Err(Refused::Full);
        }
        self.desk.pass();
        let mut state = self.state.lock().unwrap();
        state.largest_write = state.largest_write.max(bytes.len());
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Asset, Refused> {
        self.is_over = true;
        self.workshop.pass();
        let bytes = std::mem::take(&mut self.bytes);
        let mut state = self.state.lock().unwrap();
        if state.assets.len() >= ASSETS_MAX {
            return Err(Refused::TooMany { what: "assets", max: u64::try_from(ASSETS_MAX).unwrap() });
        }
        let id = AssetId::new(state.id());
        let asset = Asset { id, media: self.asset.media, created_at: self.asset.at };
        state.assets.insert(id, (asset, bytes));
        Ok(asset)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.is_over {
            self.workshop.pass();
        }
        self.state.lock().unwrap().open -= 1;
        self.changed.notify_all();
    }
}
