import { useRoute } from './router'
import { Gate } from './session'
import { Deliveries } from './pages/deliveries'
import { Delivery } from './pages/delivery'
import { Destination } from './pages/destination'
import { Destinations } from './pages/destinations'
import { Event } from './pages/event'
import { Overview } from './pages/overview'
import { Send } from './pages/send'
import { Asking, Saying } from './ui/ask'
import { Page } from './ui/layout'
import { Shell } from './ui/shell'

export function App() {
  return (
    <>
      <Gate>
        <Shell>
          <Routed />
        </Shell>
      </Gate>
      <Asking />
      <Saying />
    </>
  )
}

function Routed() {
  const { path } = useRoute()
  const [page] = path
  switch (page) {
    case undefined:
      return <Overview />
    case 'destinations':
      return <Destinations />
    case 'deliveries':
      return <Deliveries />
    case 'send':
      return <Send />
    case 'delivery':
      if (path[1]) return <Delivery key={path[1]} id={path[1]} />
      break
    case 'event':
      if (path[1]) return <Event key={path[1]} id={path[1]} />
      break
    case 'destination':
      if (path[1] && path[2]) return <Destination key={path.join('/')} developer={path[1]} name={path[2]} />
      break
  }
  return (
    <Page name="unknown" title="There is no such page">
      <p>
        Nothing stands at this address. <a href="#/">Go to the overview</a>.
      </p>
    </Page>
  )
}
