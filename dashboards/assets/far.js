// From afar letters must be larger than a whole scene has room for. The wall then shows a scene in parts: as many of its tiles at a
// time as have room, then its map. Used by scenes.js, which turns the parts as it turns scenes.
(function () {
  "use strict";

  const TILE = { wide: 11.85, tall: 5.78 }; // in letters, what a tile's text needs: wall.css gives it 8.62 % of its width, 17.3 % of its height; and the bar of an alarm
  const HEADER = 1.15; // letters, the line above all
  const MAP = { wide: 14, tall: 13.5 }; // a map with its title, its steps and names, or three communes ranked, and the country

  // What the viewers need that a whole scene has no room for: null, or {letter, across, down, map, short}: px; tiles beside and above one
  // another; has a map room; are even letters of one tile too small. Sets the size of the wall's letters.
  function asked(wall) {
    wall.style.removeProperty("--t");
    delete wall.dataset.far;
    const style = getComputedStyle(wall);
    const px = (name) => parseFloat(style.getPropertyValue(name)) / parseFloat(style.getPropertyValue("--x-height"));
    const [wished, least] = [px("--letter"), px("--letter-least")];
    if (!(least > parseFloat(style.fontSize) * 1.005)) return null; // no distance is set, or the scene carries it
    wall.dataset.far = "true";
    const found = [wished, least].map((letter) => room(letter)).find(({ across, down }) => across && down) || room(largest());
    found.short = found.letter < least;
    wall.style.setProperty("--t", `${found.letter.toFixed(2)}px`);
    return found;
  }

  // The edges of wall and tile, px: those of wall.css in 1080ths of the screen.
  function edges() {
    const u = Math.min(window.innerHeight / 1080, window.innerWidth / 1920);
    return { beside: 28 * u, above: 32 * u, tileBeside: 22 * u + 2, tileAbove: 12 * u + 2, gap: 10 * u };
  }

  function room(letter) {
    const { beside, above, tileBeside, tileAbove, gap } = edges();
    const [width, height] = [window.innerWidth - beside, window.innerHeight - above - HEADER * letter];
    const across = Math.floor((width + gap) / (TILE.wide * letter + tileBeside + gap));
    const down = Math.floor((height + gap) / (TILE.tall * letter + tileAbove + gap));
    return { letter, across, down, map: width >= MAP.wide * letter && height >= MAP.tall * letter };
  }

  // The largest letters one tile has room for.
  function largest() {
    const { beside, above, tileBeside, tileAbove } = edges();
    return 0.999 * Math.min((window.innerWidth - beside - tileBeside) / TILE.wide, (window.innerHeight - above - tileAbove) / (TILE.tall + HEADER));
  }

  // Return a scene's parts, [{tiles, columns, map}]: tiles spread evenly, the map by itself.
  function parts(scene, { across, down, map }) {
    const count = Math.ceil(scene.tiles.length / (across * down));
    const each = Math.ceil(scene.tiles.length / count);
    const found = [];
    for (let i = 0; i < scene.tiles.length; i += each) {
      const tiles = scene.tiles.slice(i, i + each);
      found.push({ tiles, columns: Math.ceil(tiles.length / Math.ceil(tiles.length / across)), map: false });
    }
    if (scene.map && map) found.push({ tiles: [], columns: 1, map: true });
    return found.length ? found : [{ tiles: [], columns: 1, map: false }];
  }

  window.ioc_far = { asked, parts };
})();
