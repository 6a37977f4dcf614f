// Who came from the dashboard to log in is led back there: to the address that the service is set to, and to
// nothing that stands in a link. Single sign-on leads away from this page and back; what is wanted waits in the tab.

const WANTED = "switchboard.dashboard";

if (new URLSearchParams(location.search).get("to") === "dashboard") {
  sessionStorage.setItem(WANTED, location.hash || "#"); // what was looked at there
  history.replaceState(null, "", location.pathname);
}

/** Whoever is logged in by now goes back, once; whether they do. */
export function leadsBack() {
  const wanted = sessionStorage.getItem(WANTED);
  if (wanted === null) return false;
  sessionStorage.removeItem(WANTED);
  location.replace(`/dashboard${wanted}`);
  return true;
}
